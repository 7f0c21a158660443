import type { Takeover } from '../../contract/takeover.ts';
import type { CheckpointRow } from '../../db/queries/checkpoints.ts';
import type { Run, Session, SpawnerPolicy } from '../../db/schema.ts';
import type { CheckpointPass } from '../checkpoints/pass.ts';
import type { Step } from '../runs/step.ts';
import type { ResumeDeps } from './deps.ts';

/** What the steps of one resume share. */
export type ResumePass = {
  deps: ResumeDeps;
  run: Run;
  /** A folder that is gone after the pass. */
  folder: string;
  /** The session that is brought to life; undefined where there is nothing to do for it any more. */
  successor: Session | undefined;
  /** How its agent is started, by the policy as it is when the pass begins. */
  spawner: SpawnerPolicy;
  /** Set where a supervisor of this machine has died whose command a worker may start again. */
  takeover: Takeover | null;
  /** The attempt that ended. */
  predecessor: Session | undefined;
  /** Saves what is left in the predecessor's worktree. */
  saving: CheckpointPass;
  /** What the successor goes on from. */
  from: CheckpointRow | undefined;
};

export type ResumeStep = Step<ResumePass>;
