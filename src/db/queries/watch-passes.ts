import { sql } from 'kysely';
import type { Db } from '../connect.ts';

/** After so long without a look, the service itself was away. */
const AWAY = sql`interval '20 seconds'`;
/** It is noted no more often than that. */
const NOTED = sql`interval '5 seconds'`;

/**
 * Notes that the timeout watch looks. After it was away, every lease and start deadline that had not passed when it
 * looked last runs anew: who could not be heard was not silent. Limits in time stay. Returns how many were renewed.
 */
export async function renewAfterAbsence(db: Db): Promise<number> {
  const { rows } = await sql<{ renewed: number }>`
    WITH last AS (
      SELECT at FROM watch_passes
    ), noted AS (
      INSERT INTO watch_passes (at) VALUES (now())
      ON CONFLICT (only_row) DO UPDATE SET at = now() WHERE watch_passes.at < now() - ${NOTED}
    ), renewed AS (
      UPDATE sessions SET
        lease_expires_at = CASE WHEN lease_expires_at > last.at
          THEN greatest(lease_expires_at, now() + make_interval(secs => lease_seconds))
          ELSE lease_expires_at END,
        start_deadline_at = CASE WHEN start_deadline_at > last.at
          THEN greatest(start_deadline_at, now() + make_interval(secs => start_seconds))
          ELSE start_deadline_at END
      FROM last
      WHERE last.at < now() - ${AWAY} AND ended_at IS NULL
        AND (lease_expires_at > last.at OR start_deadline_at > last.at)
      RETURNING id
    )
    SELECT count(*)::int AS renewed FROM renewed`.execute(db);
  return rows[0]?.renewed ?? 0;
}
