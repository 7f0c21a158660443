import { sql, type SqlBool } from 'kysely';
import type { Place } from '../../contract/place.ts';
import type { Takeover } from '../../contract/takeover.ts';
import type { Db } from '../connect.ts';
import { type IdRange, type Page, type PageRequest, toPage } from '../page.ts';
import { isNamed } from './agents.ts';
import type { EndStatus, Session, SessionStatus } from '../schema.ts';

export type NewSession = {
  id: string;
  agentName: string;
  objective: string;
  repo: string | null;
  issueUrl: string | null;
  issueKey: string | null;
  worktree: string | null;
  host: string | null;
  branch: string | null;
  turn: number | null;
  leaseSeconds: number;
  timeoutSeconds: number | null;
  startSeconds: number;
  takeover: Takeover | null;
};

/**
 * Starts a session of an agent that exists and is not paused. The lease and the deadline run from
 * now, on the database's clock; until its first heartbeat the session is `starting`. Undefined:
 * the agent is missing or paused, or the issue has a live session.
 */
export async function insertSession(db: Db, session: NewSession): Promise<Session | undefined> {
  const { rows } = await sql<Session>`
    INSERT INTO sessions
      (id, agent_id, agent_name, root_id, status, objective, repo, issue_url, issue_key, worktree, host, branch,
       checkpoint_branch, turn, lease_seconds, timeout_seconds, start_seconds,
       start_deadline_at, deadline_at, started_at, takeover)
    SELECT ${session.id}::uuid, agents.id, agents.name, ${session.id}::uuid, 'starting',
      ${session.objective}, ${session.repo}, ${session.issueUrl}, ${session.issueKey},
      ${session.worktree}, ${session.host}, ${session.branch},
      'checkpoint/' || agents.name || '/' || ${session.id}::text, ${session.turn}::int,
      ${session.leaseSeconds}::int, ${session.timeoutSeconds}::int, ${session.startSeconds}::int,
      now() + make_interval(secs => ${session.startSeconds}::int),
      now() + make_interval(secs => ${session.timeoutSeconds}::int), now(),
      ${session.takeover && JSON.stringify(session.takeover)}::jsonb
    FROM agents WHERE ${isNamed(session.agentName)} AND NOT agents.paused
    ON CONFLICT DO NOTHING
    RETURNING *`.execute(db);
  return rows[0];
}

export type Beat = {
  turn: number | null;
  note: string | null;
  /** Null: where it was. */
  place: { host: string; worktree: string | null; place: Place | null } | null;
};

/** A beat that says nothing. */
export const SIGN_OF_LIFE: Beat = { turn: null, note: null, place: null };

/** Renews the lease of a live session. Undefined: it has ended, or there is none. */
export async function beatSession(db: Db, id: string, beat: Beat): Promise<Session | undefined> {
  const { place } = beat;
  const { rows } = await sql<Session>`
    UPDATE sessions SET
      status = 'running',
      needs_attention = false,
      start_deadline_at = NULL,
      lease_expires_at = now() + make_interval(secs => lease_seconds),
      turn = coalesce(${beat.turn}::int, turn),
      note = coalesce(${beat.note}::text, note),
      host = coalesce(${place?.host ?? null}::text, host),
      worktree = CASE WHEN ${place === null} THEN worktree ELSE ${place?.worktree ?? null}::text END,
      worktree_kind = CASE WHEN ${place === null} THEN worktree_kind
        ELSE ${place?.place ?? null}::text END
    WHERE id = ${id} AND status IN ('starting', 'running')
    RETURNING *`.execute(db);
  return rows[0];
}

/** Notes what a live session said with its last beat. */
export async function noteSaid(db: Db, id: string, note: string): Promise<void> {
  await db
    .updateTable('sessions')
    .set({ note })
    .where('id', '=', id)
    .where('ended_at', 'is', null)
    .execute();
}

export async function findSession(db: Db, id: string): Promise<Session | undefined> {
  return await db.selectFrom('sessions').selectAll().where('id', '=', id).executeTakeFirst();
}

export async function findSuccessor(db: Db, id: string): Promise<string | undefined> {
  const row = await db
    .selectFrom('sessions')
    .select('id')
    .where('resumed_from', '=', id)
    .executeTakeFirst();
  return row?.id;
}

export async function findLiveSessionOfIssue(
  db: Db,
  issueKey: string,
): Promise<Pick<Session, 'id' | 'agent_name' | 'status'> | undefined> {
  return await db
    .selectFrom('sessions')
    .select(['id', 'agent_name', 'status'])
    .where('issue_key', '=', issueKey)
    .where('ended_at', 'is', null)
    .executeTakeFirst();
}

/** The newest attempt of a chain. */
export async function findLastAttempt(db: Db, rootId: string): Promise<Session | undefined> {
  return await db
    .selectFrom('sessions')
    .selectAll()
    .where('root_id', '=', rootId)
    .orderBy('attempt', 'desc')
    .limit(1)
    .executeTakeFirst();
}

/** The attempts of a chain, first to last. */
export async function listAttempts(db: Db, rootId: string): Promise<Session[]> {
  return await db
    .selectFrom('sessions')
    .selectAll()
    .where('root_id', '=', rootId)
    .orderBy('attempt')
    .execute();
}

export type SessionFilter = {
  agentName?: string | undefined;
  status?: SessionStatus | undefined;
  rootId?: string | undefined;
  needsAttention?: boolean | undefined;
  idPrefix?: IdRange | undefined;
};

const LIVE: ReadonlySet<SessionStatus> = new Set(['pending', 'starting', 'running']);

/** Newest first. */
export async function listSessions(
  db: Db,
  filter: SessionFilter,
  { limit, cursor }: PageRequest,
): Promise<Page<Session>> {
  let query = db.selectFrom('sessions').selectAll('sessions');
  if (filter.agentName !== undefined) {
    const agent = sql`(SELECT agents.id FROM agents WHERE ${isNamed(filter.agentName)})`;
    // A range, in whose order the index of the agent's sessions is: see `listRuns`.
    query = query
      .where(sql<SqlBool>`sessions.agent_id >= ${agent} AND sessions.agent_id <= ${agent}`)
      .orderBy('sessions.agent_id');
  }
  if (filter.status) query = query.where('sessions.status', '=', filter.status);
  if (filter.status && LIVE.has(filter.status))
    query = query.where('sessions.ended_at', 'is', null);
  if (filter.rootId) query = query.where('sessions.root_id', '=', filter.rootId);
  if (filter.needsAttention !== undefined) {
    query = query.where('sessions.needs_attention', '=', sql.lit(filter.needsAttention));
  }
  if (filter.idPrefix) {
    const { from, to } = filter.idPrefix;
    query = query.where('sessions.id', '>=', from).where('sessions.id', '<=', to);
  }
  if (cursor) query = query.where('sessions.id', '<', cursor);
  const rows = await query
    .orderBy('sessions.id', 'desc')
    .limit(limit + 1)
    .execute();
  return toPage(rows, limit);
}

/** Ends a live session by its own word. Undefined: it had ended before, or there is none. */
export async function endSession(
  db: Db,
  options: {
    id: string;
    status: EndStatus;
    reason: string;
    summary: string | null;
    resume: boolean;
    /** Whether who ends it goes on with the next attempt itself. */
    goesOn?: boolean;
  },
): Promise<Session | undefined> {
  return await db
    .updateTable('sessions')
    .set({
      status: options.status,
      end_reason: options.reason,
      ...(options.summary !== null && { summary: options.summary }),
      ended_at: sql<Date>`now()`,
      lease_expires_at: null,
      start_deadline_at: null,
      directive: null,
      resume_at: options.resume ? sql<Date>`now()` : null,
      reserved_until: options.goesOn ? sql<Date>`now()` : null,
    })
    .where('id', '=', options.id)
    .where('ended_at', 'is', null)
    .returningAll()
    .executeTakeFirst();
}

export type SessionNews = { timedOut: number; resumed: number; needsAttention: string[] };

/**
 * What became of an agent's sessions since its last finished heartbeat; and for a day, those that a
 * person must look at.
 */
export async function readSessionNews(db: Db, agentId: string): Promise<SessionNews> {
  const { rows } = await sql<SessionNews>`
    WITH last AS (
      SELECT coalesce(max(started_at), '-infinity') AS at FROM (
        SELECT started_at FROM runs
        WHERE agent_id = ${agentId} AND kind = 'heartbeat' AND finished_at IS NOT NULL
        ORDER BY id DESC LIMIT 1) AS run
    )
    SELECT
      count(*) FILTER (WHERE ended_at > last.at AND status = 'timed_out') AS "timedOut",
      count(*) FILTER (WHERE created_at > last.at AND resumed_from IS NOT NULL) AS resumed,
      coalesce(jsonb_agg(sessions.id ORDER BY sessions.id) 
        FILTER (WHERE needs_attention
          AND (ended_at IS NULL OR ended_at > now() - interval '1 day')), '[]')
        AS "needsAttention"
    FROM sessions, last
    WHERE agent_id = ${agentId}
      AND (ended_at IS NULL OR ended_at > last.at OR ended_at > now() - interval '1 day')`.execute(
    db,
  );
  return rows[0] ?? { timedOut: 0, resumed: 0, needsAttention: [] };
}
