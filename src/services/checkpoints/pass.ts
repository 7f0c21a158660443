import type { CheckpointRow } from '../../db/queries/checkpoints.ts';
import type { Run, Session } from '../../db/schema.ts';
import type { AppError } from '../../errors.ts';
import type { Step } from '../runs/step.ts';
import type { WorktreeCapture } from './capture.ts';
import type { CheckpointDeps } from './deps.ts';
import type { Uploaded } from './uploaded.ts';

/** What the steps of one checkpoint share. */
export type CheckpointPass = {
  deps: CheckpointDeps;
  run: Run;
  /** A folder that is gone after the pass. */
  folder: string;
  /** Set by `load session`, which is critical. */
  session: Session | undefined;
  /** Set where the caller sent a bundle. */
  uploaded: Uploaded | undefined;
  /** Set where the worktree was captured. */
  taken: WorktreeCapture | undefined;
  /** Why it was not, or why its branch was not moved. */
  failure: AppError | undefined;
  /** The branch in the worktree's repository is at the commit. */
  moved: boolean;
  /** Set by `record checkpoint`, or by `load session` when the pass is made again. */
  checkpoint: CheckpointRow | undefined;
};

export type CheckpointStep = Step<CheckpointPass>;

export function loadedSession(pass: CheckpointPass): Session {
  if (!pass.session) throw new Error('the step "load session" must come first');
  return pass.session;
}
