import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { RestoreOutcome, Session, SpawnerPolicy } from '../schema.ts';
import { schedulePrune } from './session-prune.ts';
import { hasSpawner, PULL } from './spawners.ts';

/**
 * How a pending successor comes to life. Each write names the checkpoint that it was made from: a
 * late checkpoint replaces that, and what was prepared from the old one then counts no more.
 */
export type Prepared = { id: string; checkpointId: string | null };

/** Notes what became of the work. False: the session is not pending, or goes on from another one. */
export async function noteRestored(
  db: Db,
  prepared: Prepared,
  outcome: RestoreOutcome,
  host: string,
): Promise<boolean> {
  const { rows } = await sql<{ id: string }>`
    UPDATE sessions SET
      restored = ${JSON.stringify(outcome)}::jsonb,
      worktree = ${outcome.ok ? outcome.worktree : null},
      host = CASE WHEN ${outcome.ok} THEN ${host} ELSE host END
    WHERE id = ${prepared.id} AND status = 'pending'
      AND latest_checkpoint_id IS NOT DISTINCT FROM ${prepared.checkpointId}::uuid
      AND restored IS NULL
    RETURNING id`.execute(db);
  return rows.length > 0;
}

/** From now on the session can be claimed. Not where the agent has a spawner by now. */
export async function markReady(db: Db, prepared: Prepared): Promise<boolean> {
  const { rows } = await sql<{ id: string }>`
    UPDATE sessions SET
      ready_at = coalesce(ready_at, now()), spawn_at = NULL, needs_attention = false,
      ${forgotten}
    WHERE id = ${prepared.id} AND status = 'pending'
      AND latest_checkpoint_id IS NOT DISTINCT FROM ${prepared.checkpointId}::uuid
      AND EXISTS (
        SELECT FROM agents WHERE agents.id = sessions.agent_id AND ${hasSpawner(PULL)})
    RETURNING id`.execute(db);
  return rows.length > 0;
}

/** SQL: what an earlier try has left to say. */
const forgotten = sql`spawn_error = NULL, summary = NULL, waiting_for = NULL`;

export type StartOfAgent = {
  runId: string;
  host: string;
  /** How many agents the host may have that were started there. */
  limit: number;
  /** How it is started. */
  type: SpawnerPolicy['type'];
  /** What the agent's policy said when the run began. */
  spawner: SpawnerPolicy;
};

/**
 * Says that a run is about to start the session's agent: `starting` from now, with its time for the
 * first heartbeat. The same run may say so again, after its worker died: that start may have failed,
 * and the token it was given is void. Undefined: somebody else has started it, it goes on from a
 * newer checkpoint, the agent is paused or is to be started in another way by now, or the host has as many
 * agents as it may have. To be called in a transaction: agents of one host are counted one start after another.
 */
export async function startSpawn(
  db: Db,
  prepared: Prepared,
  spawn: StartOfAgent,
): Promise<Session | undefined> {
  const { type } = spawn;
  await sql`SELECT FROM worker_hosts WHERE host = ${spawn.host} FOR UPDATE`.execute(db);
  const { rows } = await sql<Session>`
    UPDATE sessions SET
      status = 'starting', spawn_run_id = ${spawn.runId}, spawn_at = NULL, ${forgotten},
      spawner = ${type},
      host = CASE WHEN ${type} = 'command' THEN ${spawn.host} ELSE host END,
      started_at = now(),
      start_deadline_at = now() + make_interval(secs => start_seconds),
      deadline_at = now() + make_interval(secs => timeout_seconds)
    WHERE id = ${prepared.id}
      AND (status = 'pending' OR (status = 'starting' AND spawn_run_id = ${spawn.runId}))
      AND latest_checkpoint_id IS NOT DISTINCT FROM ${prepared.checkpointId}::uuid
      AND EXISTS (
        SELECT FROM agents WHERE agents.id = sessions.agent_id AND NOT agents.paused
          AND ${hasSpawner(spawn.spawner)})
      AND (${type} <> 'command' OR ${spawn.limit}::int > (
        SELECT count(*) FROM sessions AS other
        WHERE other.host = ${spawn.host} AND other.spawner = 'command'
          AND other.status IN ('starting', 'running') AND other.id <> ${prepared.id}))
    RETURNING *`.execute(db);
  return rows[0];
}

/** SQL: a while that doubles with each try, up to eight and a half minutes. */
const NEXT_TRY = sql`make_interval(secs => 2 ^ least(spawn_tries, 9))`;

/** A person is told while it is still tried: what is wrong may be theirs to fix. */
const TELL_AFTER_TRIES = 3;

/**
 * Notes that a session could not be prepared or started: it is pending again, and tried again after
 * a while that doubles each time. One whose agent has beaten is left alone.
 */
export async function noteSpawnFailure(
  db: Db,
  failure: { id: string; runId: string; error: string },
): Promise<boolean> {
  const { rows } = await sql<{ id: string }>`
    UPDATE sessions SET
      status = 'pending', spawn_error = ${failure.error}, summary = ${failure.error},
      started_at = NULL, start_deadline_at = NULL, deadline_at = NULL, waiting_for = NULL,
      needs_attention = needs_attention OR spawn_tries >= ${TELL_AFTER_TRIES},
      spawn_at = now() + ${NEXT_TRY}
    WHERE id = ${failure.id}
      AND (status = 'pending' OR (status = 'starting' AND spawn_run_id = ${failure.runId}))
    RETURNING id`.execute(db);
  return rows.length > 0;
}

/**
 * Notes that the run was given up which was to bring a session to life: it is tried again by another
 * one soon, as after any failure. Left alone is what is ready, what another run works on, and a
 * session that is starting: its agent may be there, and its start deadline decides.
 */
export async function noteResumeGivenUp(
  db: Db,
  failure: { id: string; runId: string; error: string },
): Promise<boolean> {
  const { rows } = await sql<{ id: string }>`
    UPDATE sessions SET
      spawn_error = ${failure.error}, summary = ${failure.error}, waiting_for = NULL,
      needs_attention = needs_attention OR spawn_tries >= ${TELL_AFTER_TRIES},
      spawn_at = now() + ${NEXT_TRY}
    WHERE id = ${failure.id} AND status = 'pending' AND ready_at IS NULL
      AND NOT EXISTS (
        SELECT FROM runs
        WHERE runs.session_id = sessions.id AND runs.kind = 'resume' AND runs.finished_at IS NULL
          AND runs.id <> ${failure.runId})
    RETURNING id`.execute(db);
  return rows.length > 0;
}

/**
 * Ends a session that cannot come to life; a person must look, and its summary says why. Its
 * checkpoints stay for their retention.
 */
export async function giveUpPending(
  db: Db,
  ended: { id: string; runId: string; reason: string; error: string; retentionDays: number },
): Promise<boolean> {
  return await db.transaction().execute(async (trx) => {
    const { rows } = await sql<{ root_id: string }>`
      UPDATE sessions SET
        status = 'failed', ended_at = now(), needs_attention = true, end_reason = ${ended.reason},
        spawn_error = ${ended.error}, summary = ${ended.error}, spawn_at = NULL,
        start_deadline_at = NULL, deadline_at = NULL, lease_expires_at = NULL
      WHERE id = ${ended.id}
        AND (status = 'pending' OR (status = 'starting' AND spawn_run_id = ${ended.runId}))
      RETURNING root_id`.execute(trx);
    const [given] = rows;
    if (!given) return false;
    const { retentionDays } = ended;
    await schedulePrune(trx, { rootId: given.root_id, succeeded: false, retentionDays });
    return true;
  });
}

/** Pending sessions that should have come to life by now, each counted as one more try. */
export async function takeSpawnDue(
  db: Db,
  options: { maxTries: number; limit: number },
): Promise<{
  again: string[];
  spent: Pick<Session, 'id' | 'root_id' | 'agent_name' | 'spawn_error'>[];
}> {
  const { rows: spent } = await sql<Pick<Session, 'id' | 'root_id' | 'agent_name' | 'spawn_error'>>`
    UPDATE sessions SET
      status = 'failed', ended_at = now(), needs_attention = true, spawn_at = NULL,
      end_reason = 'spawn_failed', summary = spawn_error
    WHERE id IN (
      SELECT id FROM sessions
      WHERE status = 'pending' AND spawn_at <= now() AND spawn_tries >= ${options.maxTries}
      LIMIT ${options.limit} FOR UPDATE SKIP LOCKED)
    RETURNING id, root_id, agent_name, spawn_error`.execute(db);
  const { rows } = await sql<{ id: string }>`
    UPDATE sessions SET
      spawn_tries = spawn_tries + 1, spawn_at = now() + ${PREPARE_TIME}
    WHERE id IN (
      SELECT sessions.id FROM sessions JOIN agents ON agents.id = sessions.agent_id
      WHERE status = 'pending' AND spawn_at <= now() AND spawn_tries < ${options.maxTries}
        AND NOT agents.paused
      ORDER BY spawn_at LIMIT ${options.limit} FOR UPDATE OF sessions SKIP LOCKED)
    RETURNING id`.execute(db);
  return { again: rows.map(({ id }) => id), spent };
}

/** A run that prepares a session has this long before another one is made. */
export const PREPARE_TIME = sql`interval '15 minutes'`;

/** Puts off the start of a session that only waits for a place, or for a policy to settle; that is no try. */
export async function deferSpawn(
  db: Db,
  deferred: { id: string; waitingFor: string | null },
): Promise<boolean> {
  const { rows } = await sql<{ id: string }>`
    UPDATE sessions SET
      spawn_at = now() + interval '5 seconds', spawn_tries = greatest(spawn_tries - 1, 0),
      waiting_for = ${deferred.waitingFor}
    WHERE id = ${deferred.id} AND status = 'pending'
    RETURNING id`.execute(db);
  return rows.length > 0;
}
