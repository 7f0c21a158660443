import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { SpawnerPolicy } from '../schema.ts';
import { backoffOf, type ResumeLimits, withinBudget } from './session-limits.ts';
import { spawnerType } from './spawners.ts';

export type SuccessorOutlook = {
  /** Whether a successor is wanted of the session, or will be. */
  wanted: boolean;
  paused: boolean;
  hasBudget: boolean;
  /** How the agent's resumed sessions are started, now. */
  spawner: SpawnerPolicy['type'];
  /** Seconds of its back-off that are left. */
  waitSeconds: number;
  /** Another session that works on its issue now. */
  otherId: string | null;
};

/** What keeps an ended session from having a successor, if it has none. Undefined: there is no such session. */
export async function successorOutlook(
  db: Db,
  id: string,
  defaults: ResumeLimits,
): Promise<SuccessorOutlook | undefined> {
  const { rows } = await sql<SuccessorOutlook>`
    SELECT ended.resume_at IS NOT NULL AS wanted, agents.paused,
      ${withinBudget('ended', defaults)} AS "hasBudget", ${spawnerType} AS spawner,
      greatest(0, extract(epoch FROM ended.ended_at + ${backoffOf(defaults)} - now()))::float
        AS "waitSeconds",
      (SELECT other.id FROM sessions AS other
        WHERE other.issue_key = ended.issue_key AND other.ended_at IS NULL AND other.id <> ended.id
        LIMIT 1) AS "otherId"
    FROM sessions AS ended JOIN agents ON agents.id = ended.agent_id
    WHERE ended.id = ${id}`.execute(db);
  return rows[0];
}
