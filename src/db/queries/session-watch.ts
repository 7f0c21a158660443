import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { Session } from '../schema.ts';
import { isNamed } from './agents.ts';
import { PREPARE_TIME } from './session-resume.ts';
import { HOST_GONE } from './worker-hosts.ts';

/** How long a worktree's host is waited for that had a worker a moment ago. */
const HOST_RETURN = sql`interval '60 seconds'`;

/**
 * What the timeout watch does, each as one statement that any number of watches can run at once:
 * rows are locked as they are found, and what another watch holds is passed over.
 */

/**
 * Ends live sessions whose time is over: `timed_out`, with the reason. A successor is wanted of each
 * from now on. Pending sessions are not ended by this: they wait until somebody takes them.
 */
export async function endDueSessions(db: Db, limit: number): Promise<Session[]> {
  await deferRenewed(db, limit * RENEWED_FACTOR);
  const { rows } = await sql<Session>`
    UPDATE sessions SET
      status = 'timed_out',
      end_reason = CASE
        WHEN start_deadline_at <= now() THEN 'never_started'
        WHEN deadline_at <= now() THEN 'deadline_passed'
        ELSE 'lease_expired'
      END,
      ended_at = now(), resume_at = now(), directive = NULL
    WHERE id IN (
      SELECT id FROM sessions
      WHERE ended_at IS NULL AND watch_at <= now() AND due_at <= now()
      ORDER BY watch_at
      LIMIT ${limit}
      FOR UPDATE SKIP LOCKED
    )
    RETURNING *`.execute(db);
  return rows;
}

/** Far more sessions beat than end. */
const RENEWED_FACTOR = 20;

/** Looks again later at sessions that were renewed since their time to be looked at was set. */
async function deferRenewed(db: Db, limit: number): Promise<void> {
  await sql`
    UPDATE sessions SET watch_at = due_at
    WHERE id IN (
      SELECT id FROM sessions
      WHERE ended_at IS NULL AND watch_at <= now() AND (due_at > now() OR due_at IS NULL)
      ORDER BY watch_at
      LIMIT ${limit}
      FOR UPDATE SKIP LOCKED
    )`.execute(db);
}

export type ResumeLimits = {
  resumeBudget: number;
  resumeBackoffSeconds: number;
};

export type Successor = { id: string; resumedFrom: string; agentName: string };

/**
 * Inserts a pending successor for each ended session that wants one, whose agent is not paused,
 * whose budget is not spent and whose back-off is over. `ids` are ids for the new rows, as many as
 * may be made.
 */
export async function insertSuccessors(
  db: Db,
  ids: string[],
  defaults: ResumeLimits,
): Promise<Successor[]> {
  const { rows } = await sql<Successor>`
    WITH due AS (
      SELECT sessions.*, row_number() OVER (ORDER BY resume_at, sessions.id) AS place
      FROM sessions
      WHERE sessions.id IN (
        SELECT ended.id FROM sessions AS ended JOIN agents ON agents.id = ended.agent_id
        WHERE ended.resume_at <= now() AND NOT agents.paused
          AND ended.attempt <= coalesce((agents.policy ->> 'resumeBudget')::int,
            ${defaults.resumeBudget}::int)
          AND ended.ended_at + make_interval(secs =>
            coalesce((agents.policy ->> 'resumeBackoffSeconds')::float,
              ${defaults.resumeBackoffSeconds}::float) * (2 ^ (ended.attempt - 1))) <= now()
          -- What is being saved is waited for: it is what the successor goes on from.
          AND NOT EXISTS (
            SELECT FROM runs
            WHERE runs.session_id = ended.id AND runs.kind = 'checkpoint'
              AND runs.finished_at IS NULL)
          -- A host that restarts comes back with the worktree; one that is gone for good does not.
          AND NOT (ended.worktree IS NOT NULL AND ended.ended_at > now() - ${HOST_RETURN}
            AND EXISTS (
              SELECT FROM worker_hosts
              WHERE worker_hosts.host = ended.host AND seen_at < now() - ${HOST_GONE}))
          -- One agent at a time: another may have taken up the issue meanwhile.
          AND NOT EXISTS (
            SELECT FROM sessions AS other
            WHERE other.issue_key = ended.issue_key AND other.ended_at IS NULL)
        ORDER BY ended.resume_at
        LIMIT ${ids.length}
        FOR UPDATE OF ended SKIP LOCKED
      )
    ), fresh AS (
      SELECT id, place FROM unnest(${ids}::uuid[]) WITH ORDINALITY AS fresh (id, place)
    ), taken AS (
      UPDATE sessions SET resume_at = NULL FROM due WHERE sessions.id = due.id
    ), moved AS (
      -- The claim on the issue goes with the work.
      UPDATE issue_claims SET session_id = fresh.id
      FROM due JOIN fresh ON fresh.place = due.place
      WHERE issue_claims.session_id = due.id AND issue_claims.released_at IS NULL
    )
    INSERT INTO sessions
      (id, agent_id, agent_name, root_id, resumed_from, attempt, status, objective, repo, issue_url,
       issue_key, worktree, host, branch, checkpoint_branch, latest_checkpoint_id, turn,
       lease_seconds, timeout_seconds, start_seconds, spawner, spawn_tries, spawn_at)
    SELECT fresh.id, due.agent_id, due.agent_name, due.root_id, due.id, due.attempt + 1, 'pending',
      due.objective, due.repo, due.issue_url, due.issue_key, NULL, due.host, due.branch,
      'checkpoint/' || due.agent_name || '/' || fresh.id::text, due.latest_checkpoint_id, due.turn,
      due.lease_seconds, due.timeout_seconds, due.start_seconds,
      coalesce(agents.policy -> 'spawner' ->> 'type', 'pull'), 1, now() + ${PREPARE_TIME}
    FROM due JOIN agents ON agents.id = due.agent_id JOIN fresh ON fresh.place = due.place
    ON CONFLICT DO NOTHING
    RETURNING id, resumed_from AS "resumedFrom", agent_name AS "agentName"`.execute(db);
  return rows;
}

/** Flags ended sessions that want a successor and have spent their budget, for a person to see. */
export async function flagSpent(
  db: Db,
  options: { resumeBudget: number; limit: number },
): Promise<Pick<Session, 'id' | 'root_id' | 'agent_name' | 'attempt'>[]> {
  const { rows } = await sql<Pick<Session, 'id' | 'root_id' | 'agent_name' | 'attempt'>>`
    UPDATE sessions SET resume_at = NULL, needs_attention = true
    WHERE id IN (
      SELECT ended.id FROM sessions AS ended JOIN agents ON agents.id = ended.agent_id
      WHERE ended.resume_at <= now()
        AND ended.attempt > coalesce((agents.policy ->> 'resumeBudget')::int,
          ${options.resumeBudget}::int)
      LIMIT ${options.limit}
      FOR UPDATE OF ended SKIP LOCKED
    )
    RETURNING id, root_id, agent_name, attempt`.execute(db);
  return rows;
}

/**
 * Gives the oldest pending session of an agent to whoever asks: it is `starting` from now, and has
 * its time for the first heartbeat. Undefined: nothing is pending, or the agent is paused.
 */
export async function takePending(
  db: Db,
  options: { agentName: string; host: string | null; worktree: string | null },
): Promise<Session | undefined> {
  const { rows } = await sql<Session>`
    UPDATE sessions SET
      status = 'starting',
      host = coalesce(${options.host}::text, host),
      -- The restored worktree is on its host; whoever claims from another one has its own.
      worktree = coalesce(${options.worktree}::text,
        CASE WHEN ${options.host}::text IS NULL OR ${options.host} = host THEN worktree END),
      started_at = now(),
      start_deadline_at = now() + make_interval(secs => start_seconds),
      deadline_at = now() + make_interval(secs => timeout_seconds)
    WHERE id = (
      SELECT pending.id FROM sessions AS pending JOIN agents ON agents.id = pending.agent_id
      WHERE ${isNamed(options.agentName)} AND NOT agents.paused
        AND pending.status = 'pending' AND pending.ready_at IS NOT NULL
        AND pending.spawner = 'pull'
      ORDER BY pending.id
      LIMIT 1
      FOR UPDATE OF pending SKIP LOCKED
    )
    RETURNING *`.execute(db);
  return rows[0];
}
