import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import { firstIdAt } from './run-ids.ts';

export type Retention = { before: Date; limit: number };

/**
 * Deletes sessions that ended before the retention, with their tokens and the records of their checkpoints;
 * at most `limit` of them. One stays as long as anything of its chain lives, is wanted, or was not pruned, and
 * while work on it is under way. Returns how many were deleted.
 */
export async function purgeSessions(db: Db, { before, limit }: Retention): Promise<number> {
  // Ids are UUIDv7 and no session ends before it is made, so the primary key is the index.
  const { numAffectedRows } = await sql`
    DELETE FROM sessions WHERE id IN (
      SELECT old.id FROM sessions AS old
      WHERE old.id < ${firstIdAt(before)}::uuid AND old.ended_at < ${before}
        AND NOT EXISTS (
          SELECT FROM sessions AS kept
          WHERE kept.root_id = old.root_id
            AND (kept.ended_at IS NULL OR kept.ended_at >= ${before} OR kept.resume_at IS NOT NULL
              OR kept.prune_at IS NOT NULL
              OR kept.local_commit IS NOT NULL OR kept.remote_commit IS NOT NULL))
        AND NOT EXISTS (SELECT FROM bundles WHERE bundles.session_id = old.id)
        AND NOT EXISTS (
          SELECT FROM runs WHERE runs.session_id = old.id AND runs.finished_at IS NULL)
        AND NOT EXISTS (
          SELECT FROM issue_claims
          WHERE issue_claims.session_id = old.id AND issue_claims.released_at IS NULL)
      ORDER BY old.id
      LIMIT ${limit}
      FOR UPDATE SKIP LOCKED)`.execute(db);
  return Number(numAffectedRows ?? 0);
}

/** Deletes tokens that were of no use since before the retention: revoked, expired, or of a session that ended. */
export async function purgeTokens(db: Db, { before, limit }: Retention): Promise<number> {
  const { numAffectedRows } = await sql`
    DELETE FROM tokens WHERE id IN (
      SELECT old.id FROM tokens AS old
      WHERE old.id < ${firstIdAt(before)}::uuid
        AND (old.revoked_at < ${before} OR old.expires_at < ${before} OR EXISTS (
          SELECT FROM sessions
          WHERE sessions.id = old.session_id AND sessions.ended_at < ${before}))
      ORDER BY old.id
      LIMIT ${limit}
      FOR UPDATE SKIP LOCKED)`.execute(db);
  return Number(numAffectedRows ?? 0);
}
