import type { Db } from '../../db/connect.ts';
import type { Kept } from '../../db/queries/quota.ts';
import { countKept } from '../../db/queries/quota.ts';
import { findRunByKey } from '../../db/queries/runs.ts';
import type { Session } from '../../db/schema.ts';
import { AppError } from '../../errors.ts';

/** What the checkpoints of one agent may take, as long as they are not pruned. */
export type Quota = { bytes: number; checkpoints: number };

/** Saved work may come late, but a session that is over does not go on for ever. */
const MAX_LATE = 20;

/**
 * What was accepted before under the same key is answered as it was, however much is kept by now.
 *
 * @throws AppError `too_large` when the agent, or the session after its end, may keep no more checkpoints or bundles
 */
export async function assertMayKeep(
  db: Db,
  session: Session,
  quota: Quota,
  request: { isUpload: boolean; idempotencyKey: string | undefined },
): Promise<void> {
  const kept = await countKept(db, session, quota.checkpoints);
  const refusal =
    tooManyLate(session, kept) ??
    tooMany(session, kept, quota) ??
    (request.isUpload ? noRoom(session, kept, quota) : null);
  if (refusal === null) return;
  const { idempotencyKey: key } = request;
  if (key !== undefined && (await findRunByKey(db, session.agent_name, key))) return;
  throw refusal;
}

/** @throws AppError `too_large` when the agent's bundles take all the room that they may */
export async function assertRoom(db: Db, session: Session, quota: Quota): Promise<void> {
  const refusal = noRoom(session, await countKept(db, session, 0), quota);
  if (refusal) throw refusal;
}

function tooManyLate(session: Session, kept: Kept): AppError | null {
  if (session.ended_at === null || kept.late < MAX_LATE) return null;
  return new AppError(
    'too_large',
    `This session has ended, and ${kept.late} checkpoints were kept of it since. No more are taken.`,
  );
}

function tooMany(session: Session, kept: Kept, quota: Quota): AppError | null {
  if (kept.checkpoints < quota.checkpoints) return null;
  return new AppError(
    'too_large',
    `${kept.checkpoints} checkpoints of the agent "${session.agent_name}" are kept, and no more may be (DEFIB_AGENT_CHECKPOINTS). Finish sessions: the checkpoints of finished work are pruned.`,
  );
}

function noRoom(session: Session, kept: Kept, quota: Quota): AppError | null {
  if (kept.bytes < quota.bytes) return null;
  return new AppError(
    'too_large',
    `The bundles of the agent "${session.agent_name}" take ${Math.ceil(kept.bytes / 1024 / 1024)} MiB, and no more is stored (DEFIB_AGENT_STORAGE_MB). Finish sessions: the checkpoints of finished work are pruned.`,
  );
}
