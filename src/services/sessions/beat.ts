import type { Db } from '../../db/connect.ts';
import { beatSession } from '../../db/queries/sessions.ts';
import type { Directive, Session, SessionStatus } from '../../db/schema.ts';
import { redactSaid } from '../checkpoints/redact.ts';
import { refusal } from './refusal.ts';

export type BeatView = {
  status: SessionStatus;
  leaseExpiresAt: string;
  deadlineAt: string | null;
  directives: Directive[];
  /** When to beat again, so that two beats may be lost before the lease ends. */
  nextHeartbeatSeconds: number;
};

/**
 * The light beat: renews the lease in one statement. What the server wants of the agent travels
 * back on it.
 *
 * @throws AppError `session_ended`, `session_superseded` or `not_found`
 */
export async function beat(
  db: Db,
  id: string,
  said: { turn?: number | undefined; note?: string | undefined },
): Promise<BeatView> {
  const note = await redactSaid(said.note);
  const session = await beatSession(db, id, { turn: said.turn ?? null, note: note ?? null });
  if (!session?.lease_expires_at) throw await refusal(db, id);
  return {
    status: session.status,
    leaseExpiresAt: session.lease_expires_at.toISOString(),
    deadlineAt: session.deadline_at?.toISOString() ?? null,
    directives: directivesOf(session),
    nextHeartbeatSeconds: Math.max(1, Math.floor(session.lease_seconds / 3)),
  };
}

export function directivesOf({ id, directive }: Session): Directive[] {
  return directive ? [{ ...directive, sessionId: id }] : [];
}
