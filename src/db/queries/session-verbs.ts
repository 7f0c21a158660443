import { sql, type Transaction } from 'kysely';
import type { Database, Session } from '../schema.ts';
import { budgetOf, type ResumeLimits, withinBudget } from './session-limits.ts';
import { chainIsLive } from './session-prune.ts';
import { PREPARE_TIME } from './session-resume.ts';
import { insertNextAttempt } from './session-watch.ts';
import { isStartedBy } from './spawners.ts';

type Trx = Transaction<Database>;

export type ResumeRequest = {
  /** The ended session. */
  sessionId: string;
  /** Of the next attempt. */
  id: string;
  /** What it goes on from; null: the newest. */
  checkpointId: string | null;
  /** How often it may be resumed after this; null: as often as the policy says. */
  budget: number | null;
  limits: ResumeLimits;
};

/**
 * Inserts the next attempt of an ended session, whatever its budget, its back-off or its end, and takes the flag
 * away that a person must look. Undefined: it lives, was completed, has a successor, or its issue is worked on:
 * then the transaction must be rolled back.
 */
export async function insertResumed(
  trx: Trx,
  request: ResumeRequest,
): Promise<Session | undefined> {
  await sql`
    WITH due AS (
      SELECT sessions.*, 1 AS place FROM sessions
      WHERE id = ${request.sessionId} AND ended_at IS NOT NULL AND status <> 'completed'
      FOR UPDATE
    ), fresh AS (
      SELECT ${request.id}::uuid AS id, 1 AS place
    ), taken AS (
      UPDATE sessions SET resume_at = NULL, needs_attention = false FROM due
      WHERE sessions.id = due.id
    ), moved AS (
      -- The claim on the issue goes with the work.
      UPDATE issue_claims SET session_id = fresh.id FROM due, fresh
      WHERE issue_claims.session_id = due.id AND issue_claims.released_at IS NULL
    )
    ${insertNextAttempt}`.execute(trx);
  const { rows } = await sql<Session>`
    UPDATE sessions SET
      latest_checkpoint_id = coalesce(${request.checkpointId}::uuid, latest_checkpoint_id),
      from_checkpoint_id = ${request.checkpointId}::uuid,
      extra_budget = greatest(extra_budget,
        attempt - 1 + coalesce(${request.budget}::int, ${budgetOf(request.limits)})
          - ${budgetOf(request.limits)}),
      -- Whoever asks for it by hand is not the supervisor that it may have been kept for.
      reserved_until = NULL, takeover = NULL, spawn_tries = 1, spawn_at = now() + ${PREPARE_TIME}
    FROM agents
    WHERE sessions.id = ${request.id} AND agents.id = sessions.agent_id
    RETURNING sessions.*`.execute(trx);
  return rows[0];
}

/** A checkpoint by its number: in that session or, where it has saved none, in the one that it went on from. */
export async function findNumbered(
  trx: Trx,
  sessionId: string,
  number: number,
): Promise<string | undefined> {
  const { rows } = await sql<{ id: string }>`
    SELECT chosen.id FROM sessions
    LEFT JOIN checkpoints AS latest ON latest.id = sessions.latest_checkpoint_id
    JOIN checkpoints AS chosen ON chosen.session_id = coalesce(latest.session_id, sessions.id)
    WHERE sessions.id = ${sessionId} AND chosen.number = ${number}`.execute(trx);
  return rows[0]?.id;
}

/**
 * Ends a session that lives or waits: no attempt comes after it. One that has ended and waits for its successor
 * is cancelled as well. Undefined: it is over, or superseded. `lived`: a process may be at work on it.
 */
export async function cancelSession(
  trx: Trx,
  cancelled: { id: string; reason: string; summary: string | null },
): Promise<(Session & { lived: boolean }) | undefined> {
  const { rows } = await sql<Session & { lived: boolean }>`
    WITH before AS (
      SELECT id, status IN ('starting', 'running') AS lived FROM sessions
      WHERE id = ${cancelled.id} FOR UPDATE
    )
    UPDATE sessions SET
      status = 'cancelled', end_reason = ${cancelled.reason},
      summary = coalesce(${cancelled.summary}, summary),
      ended_at = coalesce(ended_at, now()), resume_at = NULL, needs_attention = false,
      directive = NULL, lease_expires_at = NULL, start_deadline_at = NULL, spawn_at = NULL,
      waiting_for = NULL, reserved_until = NULL
    FROM before
    WHERE sessions.id = before.id AND (ended_at IS NULL OR resume_at IS NOT NULL)
    RETURNING sessions.*, before.lived`.execute(trx);
  return rows[0];
}

/** Takes the flag from every attempt of a chain that is over, and has its result pruned. Undefined: something of it lives or is wanted. */
export async function dismissChain(
  trx: Trx,
  session: Pick<Session, 'id' | 'root_id'>,
): Promise<Session | undefined> {
  // Locked newest first, as a late checkpoint locks them.
  await sql`
    SELECT FROM sessions WHERE root_id = ${session.root_id}
    ORDER BY attempt DESC FOR UPDATE`.execute(trx);
  const { rows } = await sql<Session>`
    UPDATE sessions SET needs_attention = false, result_until = NULL,
      prune_at = CASE WHEN prune_at IS NOT NULL AND EXISTS (
        SELECT FROM sessions AS kept
        WHERE kept.root_id = ${session.root_id} AND kept.result_until IS NOT NULL) THEN now()
      ELSE prune_at END
    WHERE root_id = ${session.root_id} AND NOT ${chainIsLive('sessions')}
    RETURNING *`.execute(trx);
  return rows.find(({ id }) => id === session.id);
}

/**
 * Lets what waits follow a changed policy: what is ready to be claimed is started by the spawner of now, what
 * failed is tried again at once, and what was flagged because its budget was spent goes on if there is room.
 */
export async function followPolicy(
  trx: Trx,
  { agentId, limits }: { agentId: string; limits: ResumeLimits },
): Promise<void> {
  await sql`
    UPDATE sessions SET
      ready_at = NULL, spawn_tries = 0, spawn_at = now(), spawn_error = NULL, summary = NULL,
      needs_attention = false,
      -- What could not be put into a worktree for one who claims it may be for who is started here.
      restored = CASE WHEN restored ->> 'ok' = 'true' THEN restored END
    FROM agents
    WHERE agents.id = ${agentId} AND sessions.agent_id = agents.id AND sessions.status = 'pending'
      AND (sessions.spawn_error IS NOT NULL
        OR (sessions.ready_at IS NOT NULL AND NOT ${isStartedBy('pull')}))`.execute(trx);
  await sql`
    UPDATE sessions SET resume_at = now(), needs_attention = false
    FROM agents
    WHERE agents.id = ${agentId} AND sessions.agent_id = agents.id
      AND sessions.needs_attention AND sessions.status IN ('timed_out', 'interrupted')
      AND sessions.resume_at IS NULL AND ${withinBudget('sessions', limits)}
      AND NOT EXISTS (
        SELECT FROM sessions AS next WHERE next.resumed_from = sessions.id)`.execute(trx);
}
