import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import { backoffOf, budgetOf, type ResumeLimits } from './session-limits.ts';

export type SuccessorOutlook = {
  /** Whether a successor is wanted of the session, or will be. */
  wanted: boolean;
  paused: boolean;
  hasBudget: boolean;
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
      ended.attempt <= ${budgetOf(defaults)} AS "hasBudget",
      greatest(0, extract(epoch FROM ended.ended_at + ${backoffOf(defaults)} - now()))::float
        AS "waitSeconds",
      (SELECT other.id FROM sessions AS other
        WHERE other.issue_key = ended.issue_key AND other.ended_at IS NULL AND other.id <> ended.id
        LIMIT 1) AS "otherId"
    FROM sessions AS ended JOIN agents ON agents.id = ended.agent_id
    WHERE ended.id = ${id}`.execute(db);
  return rows[0];
}
