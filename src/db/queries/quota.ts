import { sql } from 'kysely';
import type { Db } from '../connect.ts';

export type Kept = {
  /** Of all bundles of the agent. */
  bytes: number;
  /** Checkpoints of the agent that were not pruned, counted no further than `upTo`. */
  checkpoints: number;
  /** Checkpoints of the session that came after its end. */
  late: number;
};

/** What is kept for the agent of a session, and of the session itself. */
export async function countKept(
  db: Db,
  session: { id: string; agent_id: string },
  upTo: number,
): Promise<Kept> {
  const { rows } = await sql<Kept>`
    SELECT
      (SELECT coalesce(sum(bundles.bytes), 0)::bigint
        FROM sessions JOIN bundles ON bundles.session_id = sessions.id
        WHERE sessions.agent_id = ${session.agent_id}) AS bytes,
      (SELECT count(*) FROM (
        SELECT FROM sessions JOIN checkpoints ON checkpoints.session_id = sessions.id
        WHERE sessions.agent_id = ${session.agent_id} AND checkpoints.pruned_at IS NULL
        LIMIT ${upTo}::int) AS kept) AS checkpoints,
      (SELECT count(*) FROM checkpoints WHERE session_id = ${session.id} AND late) AS late
    `.execute(db);
  return rows[0] ?? { bytes: 0, checkpoints: 0, late: 0 };
}
