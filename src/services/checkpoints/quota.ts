import type { Db } from '../../db/connect.ts';
import { countKept } from '../../db/queries/quota.ts';
import type { Session } from '../../db/schema.ts';
import { AppError } from '../../errors.ts';

/** What the checkpoints of one agent may take, as long as they are not pruned. */
export type Quota = { bytes: number; checkpoints: number };

/** Saved work may come late, but a session that is over does not go on for ever. */
const MAX_LATE = 20;

/** @throws AppError `too_large` when the agent, or the session after its end, may keep no more checkpoints */
export async function assertMayKeep(db: Db, session: Session, quota: Quota): Promise<void> {
  const kept = await countKept(db, session, quota.checkpoints);
  if (session.ended_at !== null && kept.late >= MAX_LATE) {
    throw new AppError(
      'too_large',
      `This session has ended, and ${kept.late} checkpoints were kept of it since. No more are taken.`,
    );
  }
  if (kept.checkpoints >= quota.checkpoints) {
    throw new AppError(
      'too_large',
      `${kept.checkpoints} checkpoints of the agent "${session.agent_name}" are kept, and no more may be (DEFIB_AGENT_CHECKPOINTS). Finish sessions: the checkpoints of finished work are pruned.`,
    );
  }
}

/** @throws AppError `too_large` when the agent's bundles take all the room that they may */
export async function assertRoom(db: Db, session: Session, quota: Quota): Promise<void> {
  const { bytes } = await countKept(db, session, 0);
  if (bytes < quota.bytes) return;
  throw new AppError(
    'too_large',
    `The bundles of the agent "${session.agent_name}" take ${Math.ceil(bytes / 1024 / 1024)} MiB, and no more is stored (DEFIB_AGENT_STORAGE_MB). Finish sessions: the checkpoints of finished work are pruned.`,
  );
}
