import { findLastCommit } from '../../db/queries/checkpoints.ts';
import type { Session } from '../../db/schema.ts';
import { AppError } from '../../errors.ts';
import { baseRemote } from '../git/base-remote.ts';
import type { Capture } from '../git/capture-types.ts';
import { capture } from '../git/capture.ts';
import { type Checkpoint, readCheckpoint } from '../git/checkpoint.ts';
import { checkpointRef } from '../git/names.ts';
import { moveCheckpointRef } from '../git/publish.ts';
import { readTip, type Tip } from '../git/tip.ts';
import { checkUrl } from '../git/url.ts';
import type { CheckpointDeps } from './deps.ts';
import { requireOwn } from './ownership.ts';
import { privateDirOf } from './places.ts';

export type WorktreeCapture = {
  capture: Capture;
  /** The commit, read back; null when it cannot be. */
  checkpoint: Checkpoint | null;
  privateDir: string;
  ref: string;
  tip: Tip;
  /** The commit has the session's last recorded one behind it, so it carries that too. */
  holdsEarlier: boolean;
};

/** Whether this worker can reach the session's worktree, by what the session says of it. */
export function isHere(deps: CheckpointDeps, session: Session): boolean {
  return session.worktree !== null && (session.host === null || session.host === deps.host);
}

/**
 * Captures the session's worktree into its private git directory. Nothing is recorded and no branch
 * is moved yet.
 */
export async function captureWorktree(
  deps: CheckpointDeps,
  session: Session,
  signal: AbortSignal,
): Promise<WorktreeCapture> {
  const { worktree } = session;
  if (worktree === null) throw new AppError('invalid', 'The session has no worktree.');
  await requireOwn(deps, session, worktree);
  const ref = checkpointRef(session.agent_name, session.id);
  const privateDir = privateDirOf(deps.places, session.id);
  const last = await findLastCommit(deps.db, session.id);
  const recorded = last?.commit ?? null;
  const { policy } = deps;
  const tip = await readTip({ worktree, policy, ref, recorded, privateDir, signal });
  const captured = await capture({
    worktree,
    privateDir,
    agentName: session.agent_name,
    sessionId: session.id,
    number: (last?.number ?? 0) + 1,
    previous: tip.previous,
    policy,
    now: new Date(),
    signal,
  });
  const checkpoint = await readCheckpoint(captured.commit, { gitDir: privateDir, signal });
  const holdsEarlier =
    recorded === null || captured.commit === recorded || checkpoint?.previous === tip.previous;
  return { capture: captured, checkpoint, privateDir, ref, tip, holdsEarlier };
}

/** Moves the checkpoint branch in the worktree's own repository: the one write there. */
export async function moveBranch(
  deps: CheckpointDeps,
  session: Session,
  taken: WorktreeCapture,
  signal: AbortSignal,
): Promise<void> {
  if (!taken.tip.isOurs) {
    throw new AppError(
      'conflict',
      `The branch ${session.checkpoint_branch} was moved by somebody else; it was left where it is.`,
    );
  }
  await moveCheckpointRef({
    worktree: session.worktree ?? '',
    privateDir: taken.privateDir,
    policy: deps.policy,
    ref: taken.ref,
    commit: taken.capture.commit,
    expected: taken.tip.at,
    signal,
  });
}

/** The remote whose commits a bundle may build on, if the service may reach it. */
export async function baseRemoteOf(
  deps: CheckpointDeps,
  { base }: Pick<Capture, 'base'>,
): Promise<{ name: string; url: string } | undefined> {
  const remote = baseRemote(base);
  if (!remote) return undefined;
  const allowed = await checkUrl(remote.url, deps.urls).catch(() => undefined);
  return allowed && { name: remote.name, url: allowed.url };
}
