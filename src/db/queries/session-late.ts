import { sql, type Transaction } from 'kysely';
import type { Database, Session } from '../schema.ts';

/** The end reason of an attempt that was not begun, as the one before had completed the work. */
export const COMPLETED_BEFORE = 'completed_before';

/**
 * Completes a session that was given up, or interrupted, and has completed its work all the same: its word came late.
 * The attempt that was to go on, and has not begun, is cancelled. Undefined: that is at work, or the session ended
 * in another way.
 */
export async function completeLate(
  trx: Transaction<Database>,
  id: string,
): Promise<Session | undefined> {
  // Newest first, as all that lock a chain; the second look finds a successor that was made meanwhile.
  await lockSuccessor(trx, id);
  await sql`SELECT FROM sessions WHERE id = ${id} FOR UPDATE`.execute(trx);
  await lockSuccessor(trx, id);
  const { rows } = await sql<Session>`
    UPDATE sessions SET
      status = 'completed', end_reason = 'completed',
      resume_at = NULL, reserved_until = NULL, needs_attention = false
    WHERE id = ${id} AND status IN ('timed_out', 'interrupted')
      AND NOT EXISTS (
        SELECT FROM sessions AS heir WHERE heir.resumed_from = ${id} AND heir.status <> 'pending')
    RETURNING *`.execute(trx);
  const [completed] = rows;
  if (!completed) return undefined;
  await sql`
    WITH heir AS (
      UPDATE sessions SET
        status = 'cancelled', end_reason = ${COMPLETED_BEFORE}, ended_at = now(), spawn_at = NULL,
        reserved_until = NULL, waiting_for = NULL
      WHERE resumed_from = ${id} AND status = 'pending'
      RETURNING id
    )
    UPDATE issue_claims SET session_id = ${id} FROM heir
    WHERE issue_claims.session_id = heir.id AND issue_claims.released_at IS NULL`.execute(trx);
  return completed;
}

const lockSuccessor = (trx: Transaction<Database>, id: string) =>
  sql`SELECT FROM sessions WHERE resumed_from = ${id} FOR UPDATE`.execute(trx);
