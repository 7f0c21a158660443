import { findBundleOf } from '../../db/queries/bundles.ts';
import { type CheckpointRow, findCheckpoint } from '../../db/queries/checkpoints.ts';
import { findKeptResult, noteLanded, releaseResult } from '../../db/queries/session-results.ts';
import type { Session } from '../../db/schema.ts';
import { AppError } from '../../errors.ts';
import { isHere } from '../checkpoints/capture.ts';
import type { CheckpointDeps } from '../checkpoints/deps.ts';
import { privateDirOf } from '../checkpoints/places.ts';
import { storeBundle } from '../checkpoints/store.ts';
import { readCheckpoint } from '../git/checkpoint.ts';
import { hasLanded } from '../git/landed.ts';
import { checkpointRef } from '../git/names.ts';
import { isOpen } from '../sessions/result.ts';

/** Where the result of a chain is kept: in a bundle, or where none can be made of it, in its branch. */
export type Kept = { bundleId: string } | { branch: string; reason: string };

/**
 * Where this session holds the result of its chain, if that is to be kept: finished work that has not landed is
 * never pruned. One that was not stored yet is stored now.
 *
 * @throws AppError `unavailable`: it is only where this worker cannot get it, so nothing may be pruned
 */
export async function keepResult(
  deps: CheckpointDeps,
  session: Session,
  signal: AbortSignal,
): Promise<Kept | undefined> {
  const { db } = deps;
  const work = await findKeptResult(db, session.root_id);
  if (!work) return undefined;
  if (!isOpen(work)) {
    await releaseResult(db, work.id);
    return undefined;
  }
  if (work.workSessionId !== session.id || work.checkpointId === null) return undefined;
  const checkpoint = await findCheckpoint(db, work.checkpointId);
  if (!checkpoint) return undefined;
  if (await landedMeanwhile(deps, session, checkpoint, signal)) {
    await noteLanded(db, work.id);
    return undefined;
  }
  const stored = await findBundleOf(db, checkpoint);
  if (stored) return { bundleId: stored.id };
  try {
    await storeNow(deps, session, checkpoint, signal);
  } catch (error) {
    // Too large for the store, or of a partial clone that never fetched all of it: trying again cannot help.
    if (signal.aborted || !(error instanceof AppError) || error.transient) throw error;
    return { branch: session.checkpoint_branch, reason: error.message };
  }
  const bundle = await findBundleOf(db, checkpoint);
  return bundle && { bundleId: bundle.id };
}

/** What its user has pushed since. What cannot be asked now may be at the next look. */
async function landedMeanwhile(
  deps: CheckpointDeps,
  session: Session,
  { head, tree, files_changed: files, operation }: CheckpointRow,
  signal: AbortSignal,
): Promise<boolean> {
  const { worktree } = session;
  if (worktree === null || tree === null || operation !== null || !isHere(deps, session)) {
    return false;
  }
  const { policy } = deps;
  const isClean = files === 0;
  return await hasLanded({ worktree, policy, head, tree, isClean, signal }).catch(() => false);
}

async function storeNow(
  deps: CheckpointDeps,
  session: Session,
  checkpoint: CheckpointRow,
  signal: AbortSignal,
): Promise<void> {
  const privateDir = privateDirOf(deps.places, session.id);
  const commit = checkpoint.commit ?? '';
  const read = isHere(deps, session)
    ? await readCheckpoint(commit, { gitDir: privateDir, signal }).catch(() => null)
    : null;
  if (!read) {
    throw new AppError(
      'unavailable',
      `The result of session ${session.id} is only in the branch ${session.checkpoint_branch} on host "${session.host}". Nothing is pruned until it is stored, brought home or dismissed.`,
      { transient: true },
    );
  }
  const ref = checkpointRef(session.agent_name, session.id);
  const capture = { commit, base: read.state };
  const stored = { privateDir, ref, capture, holdsEarlier: true };
  await storeBundle(deps, session, stored, checkpoint, signal);
}
