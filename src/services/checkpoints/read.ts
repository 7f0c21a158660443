import type { Db } from '../../db/connect.ts';
import { findBundleOf, readBundle } from '../../db/queries/bundles.ts';
import {
  type CheckpointRow,
  findCheckpoint,
  findCheckpointOfRun,
  findDiff,
  listCheckpoints,
} from '../../db/queries/checkpoints.ts';
import { findSession } from '../../db/queries/sessions.ts';
import type { Page, PageRequest } from '../../db/page.ts';
import type { Run, Session } from '../../db/schema.ts';
import { AppError } from '../../errors.ts';
import { refusal } from '../sessions/refusal.ts';
import { type CheckpointView, toCheckpointView } from './view.ts';

export const noSuchCheckpoint = (id: string): AppError =>
  new AppError('not_found', `There is no checkpoint ${id} that this token may see.`);

/** @throws AppError `not_found` */
export async function getCheckpoint(
  db: Db,
  id: string,
): Promise<{ checkpoint: CheckpointRow; session: Session }> {
  const checkpoint = await findCheckpoint(db, id);
  const session = checkpoint && (await findSession(db, checkpoint.session_id));
  if (!checkpoint || !session) throw noSuchCheckpoint(id);
  return { checkpoint, session };
}

export async function listCheckpointViews(
  db: Db,
  session: Session,
  page: PageRequest,
): Promise<Page<CheckpointView>> {
  const { items, nextCursor } = await listCheckpoints(db, session.id, page);
  return { items: items.map((row) => toCheckpointView(row, session)), nextCursor };
}

/**
 * What a finished run of a checkpoint is answered with.
 *
 * @throws AppError: why there is none; or, for a session that has ended, that: the checkpoint is kept
 *   all the same, and the text says so
 */
export async function checkpointOfRun(db: Db, session: Session, run: Run): Promise<CheckpointView> {
  const checkpoint = await findCheckpointOfRun(db, run.id);
  if (!checkpoint || run.status === 'error') {
    const [error = 'The checkpoint was not saved.'] = run.errors;
    const kept = checkpoint ? ` What was said is kept as checkpoint ${checkpoint.number}.` : '';
    throw new AppError(run.error_code ?? 'unavailable', error + kept);
  }
  const now = await findSession(db, session.id);
  if (now && now.ended_at === null) return toCheckpointView(checkpoint, session);
  const { code, message, successorId } = await refusal(db, session.id);
  const kept = `What you sent was kept as checkpoint ${checkpoint.number}${checkpoint.late ? ', marked late' : ''}.`;
  throw new AppError(code, `${message} ${kept}`, successorId === undefined ? {} : { successorId });
}

/** @throws AppError `not_found`: nothing is stored, or no more */
export async function openBundle(
  db: Db,
  checkpoint: CheckpointRow,
): Promise<{ bytes: number; chunks: AsyncIterable<Buffer> }> {
  const stored = await findBundleOf(db, checkpoint);
  if (stored) return { bytes: stored.bytes, chunks: readBundle(db, stored.id) };
  const why = checkpoint.pruned_at
    ? 'its work was finished, and it was pruned'
    : `its durability is "${checkpoint.durability}"`;
  throw new AppError('not_found', `There is no bundle of checkpoint ${checkpoint.id}: ${why}.`);
}

/** The patch from HEAD to the worktree; empty where nothing is uncommitted. */
export async function readDiff(db: Db, checkpoint: CheckpointRow): Promise<Buffer> {
  return (await findDiff(db, checkpoint.id)) ?? Buffer.alloc(0);
}
