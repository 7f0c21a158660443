import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { Session } from '../schema.ts';

/**
 * Says when the checkpoints of a chain of attempts are to be pruned: at once after success, else
 * after their retention, which the agent's policy may set. Attempts without any are left out.
 */
export async function schedulePrune(
  db: Db,
  options: { rootId: string; succeeded: boolean; retentionDays: number },
): Promise<void> {
  // Locked newest first, as a late checkpoint locks them.
  await sql`
    UPDATE sessions SET prune_at = CASE WHEN ${options.succeeded}::boolean THEN now()
      ELSE now() + ${retention(options.retentionDays)} END
    FROM agents
    WHERE agents.id = sessions.agent_id AND sessions.id IN (
      SELECT id FROM sessions
      WHERE root_id = ${options.rootId}
        AND EXISTS (SELECT FROM checkpoints WHERE checkpoints.session_id = sessions.id
          AND checkpoints.pruned_at IS NULL)
      ORDER BY attempt DESC
      FOR UPDATE)`.execute(db);
}

/** SQL: how long checkpoints of work that did not succeed are kept, by the policy in `agents`. */
export const retention = (fallbackDays: number) => sql`make_interval(days =>
  coalesce((agents.policy ->> 'checkpointRetentionDays')::int, ${fallbackDays}::int))`;

/**
 * Ended sessions whose checkpoints are due, and that no live or wanted attempt of their chain may
 * still go on from, nor a checkpoint that is still being made. Each comes back after as long as it is old, until its prune is noted.
 */
export async function takeDuePrunes(db: Db, limit: number): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    UPDATE sessions SET prune_at = now() + greatest(interval '1 minute', now() - ended_at)
    WHERE id IN (
      SELECT due.id FROM sessions AS due
      WHERE due.prune_at <= now() AND ${isPrunable('due')}
      ORDER BY due.prune_at
      LIMIT ${limit}
      FOR UPDATE SKIP LOCKED
    )
    RETURNING id`.execute(db);
  return rows.map(({ id }) => id);
}

/** SQL: an attempt of the chain lives, or is wanted. */
export const chainIsLive = (table: string) => sql<boolean>`EXISTS (
  SELECT FROM sessions AS live
  WHERE live.root_id = ${sql.ref(table)}.root_id
    AND (live.ended_at IS NULL OR live.resume_at IS NOT NULL))`;

/** SQL: the session's work is done with, and nothing that was accepted for it is still to be saved. */
const isPrunable = (table: string) => sql<boolean>`(
  ${sql.ref(table)}.ended_at IS NOT NULL AND NOT ${chainIsLive(table)}
  AND NOT EXISTS (
    SELECT FROM runs
    WHERE runs.session_id = ${sql.ref(table)}.id AND runs.kind = 'checkpoint'
      AND runs.finished_at IS NULL))`;

/** The session, if its checkpoints may be pruned now. */
export async function findPrunable(db: Db, id: string): Promise<Session | undefined> {
  const { rows } = await sql<Session>`
    SELECT * FROM sessions WHERE id = ${id} AND ${isPrunable('sessions')}`.execute(db);
  return rows[0];
}

export async function noteLocalPruned(db: Db, id: string, commit: string): Promise<void> {
  await db
    .updateTable('sessions')
    .set({ local_commit: null })
    .where('id', '=', id)
    .where('local_commit', '=', commit)
    .execute();
}

export async function noteRemotePruned(db: Db, id: string, commit: string): Promise<void> {
  await db
    .updateTable('sessions')
    .set({ remote_commit: null, remote_url: null })
    .where('id', '=', id)
    .where('remote_commit', '=', commit)
    .execute();
}

/**
 * Deletes the bundles of a session's checkpoints, while they may be pruned, but the one that is kept. One without a
 * checkpoint is being accepted, or housekeeping's. Returns how many there were.
 */
export async function deleteBundles(
  db: Db,
  sessionId: string,
  keptId: string | undefined,
): Promise<number> {
  const { numAffectedRows } = await sql`
    DELETE FROM bundles USING sessions
    WHERE bundles.session_id = ${sessionId} AND sessions.id = bundles.session_id
      AND bundles.id IS DISTINCT FROM ${keptId ?? null}::uuid AND ${isPrunable('sessions')}
      AND EXISTS (SELECT FROM checkpoints WHERE checkpoints.bundle_id = bundles.id)`.execute(db);
  return Number(numAffectedRows ?? 0);
}

/**
 * Nothing of the session's checkpoints is left but their records, and the result that is kept until its time is
 * over. One that came meanwhile is left for the next prune: its session is locked while it is recorded.
 */
export async function notePruned(db: Db, sessionId: string): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const { rows } = await sql`
      SELECT FROM sessions
      WHERE id = ${sessionId} AND local_commit IS NULL AND remote_commit IS NULL
      FOR UPDATE`.execute(trx);
    if (rows.length === 0) return;
    await sql`
      UPDATE checkpoints SET pruned_at = now()
      WHERE session_id = ${sessionId} AND pruned_at IS NULL AND bundle_id IS NULL`.execute(trx);
    await sql`
      UPDATE sessions SET prune_at = (
        -- Looked at again on the way: it may have landed. Without a result that is kept, there is nothing left to do.
        SELECT CASE WHEN max(done.result_until) IS NOT NULL
          THEN least(sessions.prune_at, max(done.result_until)) END
        FROM sessions AS done
        WHERE done.root_id = sessions.root_id AND EXISTS (
          SELECT FROM checkpoints
          WHERE checkpoints.session_id = sessions.id AND pruned_at IS NULL))
      WHERE id = ${sessionId} AND (
        NOT EXISTS (
          SELECT FROM checkpoints
          WHERE checkpoints.session_id = sessions.id AND pruned_at IS NULL)
        OR EXISTS (
          SELECT FROM sessions AS done
          WHERE done.root_id = sessions.root_id AND done.result_until > now()))`.execute(trx);
  });
}
