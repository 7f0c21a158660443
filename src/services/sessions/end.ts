import type { Db } from '../../db/connect.ts';
import { endSession, findSession } from '../../db/queries/sessions.ts';
import type { Session } from '../../db/schema.ts';
import { refusal } from './refusal.ts';

export type Outcome = 'completed' | 'failed' | 'cancelled';

/**
 * Ends a session by its own word: nothing is resumed.
 *
 * @throws AppError `session_ended`, `session_superseded` or `not_found`
 */
export async function finishSession(
  db: Db,
  id: string,
  request: { outcome: Outcome; summary?: string | undefined },
): Promise<Session> {
  const ended = await endSession(db, {
    id,
    status: request.outcome,
    reason: request.outcome,
    summary: request.summary ?? null,
    resume: false,
  });
  return ended ?? (await explainOrRepeat(db, id, request.outcome));
}

/** Ends a session from outside or on a signal: the work is to be resumed, as the policy allows. */
export async function interruptSession(db: Db, id: string, reason: string): Promise<Session> {
  const ended = await endSession(db, {
    id,
    status: 'interrupted',
    reason,
    summary: null,
    resume: true,
  });
  if (ended) return ended;
  throw await refusal(db, id);
}

/** A finish whose answer was lost is sent again: the same outcome is the same answer. */
async function explainOrRepeat(db: Db, id: string, outcome: Outcome): Promise<Session> {
  const session = await findSession(db, id);
  if (session?.status === outcome) return session;
  throw await refusal(db, id);
}
