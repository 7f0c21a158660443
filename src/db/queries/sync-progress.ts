import { sql, type Transaction } from 'kysely';
import type { Database } from '../schema.ts';

/** How far a listing has come that is not at its end. */
export type SyncProgress = {
  /** The last page that was stored. */
  at: string;
  /** The forge's clock at the first page. */
  cursor: Date;
  /** When the listing began, on the database's clock. */
  beganAt: Date;
};

/** Notes a page as read. To be called as the holder of the lease, in the transaction that stores it. */
export async function noteProgress(
  trx: Transaction<Database>,
  repoId: string,
  page: SyncProgress & { full: boolean; numbers: number[] },
): Promise<void> {
  await sql`
    UPDATE repos SET pass_at = ${page.at}, pass_full = ${page.full}, pass_cursor = ${page.cursor},
      pass_began_at = ${page.beganAt}
    WHERE id = ${repoId}`.execute(trx);
  // Only a whole listing tells by what it lacks.
  if (!page.full) return;
  await sql`
    INSERT INTO sync_pages (repo_id, at, numbers)
    VALUES (${repoId}, ${page.at}, ${page.numbers}::integer[])
    ON CONFLICT (repo_id, at) DO UPDATE SET numbers = excluded.numbers`.execute(trx);
}

/** Forgets how far a listing came: it is done, or the next one is to begin anew. */
export async function forgetProgress(trx: Transaction<Database>, repoId: string): Promise<void> {
  await sql`
    UPDATE repos SET pass_at = NULL, pass_full = NULL, pass_cursor = NULL, pass_began_at = NULL
    WHERE id = ${repoId} AND pass_at IS NOT NULL`.execute(trx);
  await trx.deleteFrom('sync_pages').where('repo_id', '=', repoId).execute();
}
