import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { Session } from '../schema.ts';
import { isNamed } from './agents.ts';
import { RESERVED_TIME, type ResumeLimits, withinBudget } from './session-limits.ts';
import { PREPARE_TIME } from './session-resume.ts';
import { backOffEnd, hostMayReturn, isSaving, issueIsTaken } from './resume-conditions.ts';
import { isStartedBy } from './spawners.ts';

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

export type Successor = {
  id: string;
  resumedFrom: string;
  agentName: string;
  /** A supervisor that is alive goes on: nothing is to be prepared for it. */
  reserved: boolean;
};

/**
 * SQL: how a worker takes over from the session in `due`: where its supervisor has died or goes on itself, and where
 * a worker started it and nobody has stopped it. What a person stops waits for a person.
 */
const takenOver = sql`
  CASE WHEN due.status = 'timed_out' OR due.reserved_until IS NOT NULL
    OR (due.spawner = 'command'
      AND (due.end_reason = 'deadline_passed' OR due.end_reason LIKE 'its command %'))
  THEN due.takeover END`;

/**
 * SQL: the next attempt of each session in `due`, pending, with the id that `fresh` has for its place. How it
 * gets its agent is for the policy to say when it comes to that.
 */
export const insertNextAttempt = sql`
    INSERT INTO sessions
      (id, agent_id, agent_name, root_id, resumed_from, attempt, status, objective, repo, issue_url,
       issue_key, worktree, host, branch, checkpoint_branch, latest_checkpoint_id, turn,
       lease_seconds, timeout_seconds, start_seconds, extra_budget, takeover, reserved_until,
       spawn_tries, spawn_at)
    SELECT fresh.id, due.agent_id, due.agent_name, due.root_id, due.id, due.attempt + 1, 'pending',
      due.objective, due.repo, due.issue_url, due.issue_key, NULL, due.host, due.branch,
      'checkpoint/' || due.agent_name || '/' || fresh.id::text, due.latest_checkpoint_id, due.turn,
      due.lease_seconds, due.timeout_seconds, due.start_seconds, due.extra_budget, ${takenOver},
      CASE WHEN due.reserved_until IS NOT NULL THEN now() + ${RESERVED_TIME} END,
      CASE WHEN due.reserved_until IS NOT NULL THEN 0 ELSE 1 END,
      now() + CASE WHEN due.reserved_until IS NOT NULL THEN ${RESERVED_TIME} ELSE ${PREPARE_TIME} END
    FROM due JOIN fresh ON fresh.place = due.place
    ON CONFLICT DO NOTHING`;

/**
 * Inserts a pending successor for each ended session that wants one, whose agent is not paused,
 * whose budget is not spent and whose back-off is over. `ids` are ids for the new rows, as many as
 * may be made. One that is reserved is prepared for others once its supervisor has not come for it.
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
          AND ${withinBudget('ended', defaults)}
          AND ${backOffEnd(defaults)} <= now()
          AND NOT ${isSaving} AND NOT ${hostMayReturn} AND NOT ${issueIsTaken}
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
    ${insertNextAttempt}
    RETURNING id, resumed_from AS "resumedFrom", agent_name AS "agentName",
      reserved_until IS NOT NULL AS reserved`.execute(db);
  return rows;
}

/** Flags ended sessions that want a successor and have spent their budget, for a person to see. */
export async function flagSpent(
  db: Db,
  options: Pick<ResumeLimits, 'resumeBudget'> & { limit: number },
): Promise<Pick<Session, 'id' | 'root_id' | 'agent_name' | 'attempt'>[]> {
  const { rows } = await sql<Pick<Session, 'id' | 'root_id' | 'agent_name' | 'attempt'>>`
    UPDATE sessions SET resume_at = NULL, needs_attention = true
    WHERE id IN (
      SELECT ended.id FROM sessions AS ended JOIN agents ON agents.id = ended.agent_id
      WHERE ended.resume_at <= now()
        AND NOT ${withinBudget('ended', options)}
      LIMIT ${options.limit}
      FOR UPDATE OF ended SKIP LOCKED
    )
    RETURNING id, root_id, agent_name, attempt`.execute(db);
  return rows;
}

export type PendingChoice = {
  agentName: string;
  host: string | null;
  worktree: string | null;
  /** This one, or that which goes on from this one; neither: the oldest that waits. */
  sessionId: string | null;
  resumedFrom: string | null;
};

/**
 * Gives a pending session of an agent to whoever asks: it is `starting` from now, and has its time for the
 * first heartbeat. One that is reserved goes to who asks for it by the attempt before: that one's supervisor.
 * Undefined: none of them can be had now, or the agent is paused.
 */
export async function takePending(db: Db, choice: PendingChoice): Promise<Session | undefined> {
  const { host, worktree, sessionId, resumedFrom } = choice;
  const { rows } = await sql<Session>`
    UPDATE sessions SET
      status = 'starting',
      host = coalesce(${host}::text, host),
      -- The restored worktree is on its host; whoever claims from another one has its own.
      worktree = coalesce(${worktree}::text,
        CASE WHEN ${host}::text IS NULL OR ${host} = host THEN worktree END),
      started_at = now(), spawn_at = NULL, reserved_until = NULL,
      start_deadline_at = now() + make_interval(secs => start_seconds),
      deadline_at = now() + make_interval(secs => timeout_seconds)
    WHERE id = (
      SELECT pending.id FROM sessions AS pending JOIN agents ON agents.id = pending.agent_id
      WHERE ${isNamed(choice.agentName)} AND NOT agents.paused AND pending.status = 'pending'
        AND pending.id = coalesce(${sessionId}::uuid, pending.id)
        AND (${resumedFrom}::uuid IS NULL OR pending.resumed_from = ${resumedFrom}::uuid)
        AND CASE WHEN pending.reserved_until > now() THEN ${resumedFrom}::uuid IS NOT NULL
          ELSE pending.ready_at IS NOT NULL AND ${isStartedBy('pull')} END
      ORDER BY pending.id
      LIMIT 1
      FOR UPDATE OF pending SKIP LOCKED
    )
    RETURNING *`.execute(db);
  return rows[0];
}
