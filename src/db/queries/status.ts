import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { Session } from '../schema.ts';
import { HOST_GONE } from './worker-hosts.ts';

export type HostState = { host: string; live: boolean; seenAt: Date };

/** Hosts that had a worker within the last week, the last sign first. */
export async function listHostStates(db: Db): Promise<HostState[]> {
  const { rows } = await sql<HostState>`
    SELECT host, seen_at > now() - ${HOST_GONE} AS live, seen_at AS "seenAt"
    FROM worker_hosts WHERE seen_at > now() - interval '7 days'
    ORDER BY seen_at DESC, host LIMIT 1000`.execute(db);
  return rows;
}

export type SessionCount = Pick<Session, 'status' | 'end_reason'> & { count: number };

/** Sessions that are not over, and those from an id on, which are in order of their time. */
export async function countSessions(db: Db, fromId: string): Promise<SessionCount[]> {
  const { rows } = await sql<SessionCount>`
    SELECT status, end_reason, count(*)::int AS count
    FROM sessions WHERE ended_at IS NULL OR id >= ${fromId}
    GROUP BY status, end_reason`.execute(db);
  return rows;
}

export type Waiting = { id: string; agentName: string; since: Date };

/** Sessions that wait for an agent, or for a next attempt to be made; the oldest first. */
export async function listWaiting(db: Db, limit: number): Promise<Waiting[]> {
  const { rows } = await sql<Waiting>`
    SELECT id, agent_name AS "agentName", coalesce(ready_at, ended_at, created_at) AS since
    FROM sessions WHERE status = 'pending' OR resume_at IS NOT NULL
    ORDER BY since, id
    LIMIT ${limit}`.execute(db);
  return rows;
}

/** How many sessions could be claimed for that long, and were not; counted no further than `upTo`. */
export async function countUnclaimed(
  db: Db,
  { olderThanSeconds, upTo }: { olderThanSeconds: number; upTo: number },
): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    SELECT count(*)::int AS count FROM (
      SELECT FROM sessions JOIN agents ON agents.id = sessions.agent_id
      WHERE sessions.status = 'pending' AND NOT agents.paused
        AND sessions.ready_at <= now() - make_interval(secs => ${olderThanSeconds})
      LIMIT ${upTo}) AS unclaimed`.execute(db);
  return rows[0]?.count ?? 0;
}

export type Flagged = {
  id: string;
  agentName: string;
  attempt: number;
  status: string;
  endReason: string | null;
  spawnError: string | null;
};

/** Sessions that a person must look at, the newest first. */
export async function listFlagged(db: Db, limit: number): Promise<Flagged[]> {
  const { rows } = await sql<Flagged>`
    SELECT id, agent_name AS "agentName", attempt, status, end_reason AS "endReason",
      spawn_error AS "spawnError"
    FROM sessions WHERE needs_attention
    ORDER BY id DESC LIMIT ${limit}`.execute(db);
  return rows;
}

/** What workers start for resumed sessions, by the policies of agents that are not paused. */
export async function listSpawnerPrograms(db: Db): Promise<string[]> {
  const { rows } = await sql<{ program: string }>`
    SELECT DISTINCT policy -> 'spawner' -> 'command' ->> 0 AS program
    FROM agents
    WHERE NOT paused AND policy -> 'spawner' ->> 'type' = 'command'
    LIMIT 1000`.execute(db);
  return rows.map(({ program }) => program);
}
