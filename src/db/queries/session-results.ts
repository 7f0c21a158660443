import { sql } from 'kysely';
import type { Db } from '../connect.ts';

/** The newest files of a chain that was completed, and where they were captured. */
export type ResultWork = {
  /** The completed session. */
  id: string;
  agentName: string;
  /** Null in all of these: the chain saved no files. */
  checkpointId: string | null;
  workSessionId: string | null;
  host: string | null;
  worktree: string | null;
  branch: string | null;
  head: string | null;
  filesChanged: number | null;
  operation: string | null;
  /** A remote had HEAD when it was captured. */
  onRemote: boolean | null;
  /** A remote has all of it since. */
  landed: boolean;
  until: Date | null;
};

const selectWork = sql`
  SELECT done.id, done.agent_name AS "agentName", work.id AS "checkpointId",
    work.session_id AS "workSessionId", origin.host, origin.worktree, work.head_branch AS branch,
    work.head, work.files_changed AS "filesChanged", work.operation,
    work.on_remote AS "onRemote", done.result_landed AS landed,
    done.result_until AS until
  FROM sessions AS done
  LEFT JOIN LATERAL (
    SELECT checkpoints.* FROM checkpoints
    JOIN sessions AS attempts ON attempts.id = checkpoints.session_id
    WHERE attempts.root_id = done.root_id AND checkpoints.commit IS NOT NULL
      AND NOT checkpoints.late
    ORDER BY attempts.attempt DESC, checkpoints.number DESC
    LIMIT 1) AS work ON true
  LEFT JOIN sessions AS origin ON origin.id = work.session_id`;

/** The results of those of these sessions that were completed. */
export async function findResults(db: Db, ids: string[]): Promise<ResultWork[]> {
  if (ids.length === 0) return [];
  const { rows } = await sql<ResultWork>`
    ${selectWork}
    WHERE done.id = any(${ids}::uuid[]) AND done.status = 'completed'`.execute(db);
  return rows;
}

/** The result of a chain, while it is to be kept. */
export async function findKeptResult(db: Db, rootId: string): Promise<ResultWork | undefined> {
  const { rows } = await sql<ResultWork>`
    ${selectWork}
    WHERE done.root_id = ${rootId} AND done.status = 'completed' AND done.result_until > now()`.execute(
    db,
  );
  return rows[0];
}

/** Results that are kept, newest first. */
export async function listKeptResults(db: Db, limit: number): Promise<ResultWork[]> {
  const { rows } = await sql<ResultWork>`
    ${selectWork}
    WHERE done.result_until > now() AND done.status = 'completed'
    ORDER BY done.id DESC
    LIMIT ${limit}`.execute(db);
  return rows;
}

/** Keeps the result of a completed session for so many days, or as many as the agent's policy says. */
export async function keepResult(db: Db, options: { id: string; days: number }): Promise<void> {
  await sql`
    UPDATE sessions SET result_until = now() + make_interval(days =>
      coalesce((agents.policy ->> 'keepResultDays')::int, ${options.days}::int))
    FROM agents
    WHERE sessions.id = ${options.id} AND agents.id = sessions.agent_id
      AND sessions.status = 'completed'
      AND coalesce((agents.policy ->> 'keepResultDays')::int, ${options.days}::int) > 0`.execute(
    db,
  );
}

/** The result is where it belongs, or there is none. */
export async function releaseResult(db: Db, id: string): Promise<void> {
  await db.updateTable('sessions').set({ result_until: null }).where('id', '=', id).execute();
}

/** The result has landed since its last checkpoint: it is kept no longer. */
export async function noteLanded(db: Db, id: string): Promise<void> {
  await db
    .updateTable('sessions')
    .set({ result_landed: true, result_until: null })
    .where('id', '=', id)
    .execute();
}
