import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import {
  backOffEnd,
  hostMayReturn,
  hostWaitEnd,
  isSaving,
  issueIsTaken,
} from './resume-conditions.ts';
import type { ResumeLimits } from './session-limits.ts';
import { HOST_GONE } from './worker-hosts.ts';

/** What a session waits for, and until when where that is known. */
export type Wait = { id: string; for: string; until: Date | null };

/** SQL: a run prepares the session, or is about to. */
const isPrepared = sql<boolean>`EXISTS (
  SELECT FROM runs
  WHERE runs.session_id = ended.id AND runs.kind = 'resume' AND runs.finished_at IS NULL)`;

const hasWorker = sql<boolean>`EXISTS (
  SELECT FROM worker_hosts WHERE seen_at > now() - ${HOST_GONE})`;

/** What those of these sessions wait for that are pending, or have ended and want a successor. */
export async function findWaits(db: Db, ids: string[], defaults: ResumeLimits): Promise<Wait[]> {
  if (ids.length === 0) return [];
  const { rows } = await sql<Wait>`
    SELECT ended.id,
      CASE
        WHEN agents.paused THEN 'agent paused'
        WHEN ended.status = 'pending' THEN CASE
          WHEN ended.reserved_until > now() THEN 'its supervisor'
          WHEN ended.ready_at IS NOT NULL THEN 'claim'
          WHEN NOT ${hasWorker} THEN 'a worker'
          WHEN ${isPrepared} THEN 'preparation'
          WHEN ended.waiting_for IS NOT NULL THEN ended.waiting_for
          WHEN ended.spawn_error IS NOT NULL THEN 'back-off'
          ELSE 'preparation' END
        WHEN ${isSaving} THEN 'saving'
        WHEN ${hostMayReturn} THEN 'host ' || ended.host
        WHEN ${issueIsTaken} THEN 'another session of its issue'
        ELSE 'back-off' END AS "for",
      CASE
        WHEN agents.paused THEN NULL
        WHEN ended.status = 'pending' THEN CASE
          WHEN ended.reserved_until > now() THEN ended.reserved_until
          WHEN ended.spawn_error IS NOT NULL AND NOT ${isPrepared} THEN ended.spawn_at END
        WHEN ${isSaving} THEN NULL
        WHEN ${hostMayReturn} THEN ${hostWaitEnd}
        WHEN ${issueIsTaken} THEN NULL
        ELSE ${backOffEnd(defaults)} END AS "until"
    FROM sessions AS ended JOIN agents ON agents.id = ended.agent_id
    WHERE ended.id = any(${ids}::uuid[])
      AND (ended.status = 'pending' OR ended.resume_at IS NOT NULL)`.execute(db);
  return rows;
}
