import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import { firstIdAt } from './run-ids.ts';

/**
 * Deletes claims that were released, and followed by their labels, before the retention; at most
 * `limit` of them, so that no statement holds locks for long. Returns how many were deleted.
 */
export async function purgeClaims(
  db: Db,
  options: { releasedBefore: Date; limit: number },
): Promise<number> {
  // Ids are UUIDv7 and no claim is released before it is made, so the primary key is the index.
  const { numAffectedRows } = await sql`
    DELETE FROM issue_claims WHERE id IN (
      SELECT id FROM issue_claims
      WHERE id < ${firstIdAt(options.releasedBefore)}::uuid
        AND released_at < ${options.releasedBefore}
        AND labels_settled_at < ${options.releasedBefore}
      ORDER BY id
      LIMIT ${options.limit}
      FOR UPDATE SKIP LOCKED
    )`.execute(db);
  return Number(numAffectedRows ?? 0);
}
