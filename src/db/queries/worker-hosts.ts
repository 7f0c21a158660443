import { sql } from 'kysely';
import type { Db } from '../connect.ts';

/** After this long without a sign, a host has no worker. */
export const HOST_GONE = sql`interval '20 seconds'`;

/** Says that this host has a worker. */
export async function noteHost(db: Db, host: string): Promise<void> {
  await sql`
    INSERT INTO worker_hosts (host) VALUES (${host})
    ON CONFLICT (host) DO UPDATE SET seen_at = now()`.execute(db);
}

/**
 * SQL: the host that a row of `runs` goes to, null for any. Work for a host without a worker goes to
 * any: it does what can be done from elsewhere.
 */
export const route = sql<string | null>`
  (SELECT host FROM worker_hosts WHERE worker_hosts.host = runs.host
    AND worker_hosts.seen_at > now() - ${HOST_GONE})`;

export async function listHosts(db: Db): Promise<string[]> {
  const { rows } = await sql<{ host: string }>`
    SELECT host FROM worker_hosts
    WHERE seen_at > now() - ${HOST_GONE}
    ORDER BY host`.execute(db);
  return rows.map(({ host }) => host);
}
