import { sql } from 'kysely';
import type { Db } from '../connect.ts';

/**
 * Does `work` while nobody else on this database does work under the same key. Where somebody does,
 * it does nothing and returns false. The lock goes with its connection, also when we are killed.
 */
export async function exclusively(
  db: Db,
  key: number,
  work: () => Promise<void>,
): Promise<boolean> {
  return await db.transaction().execute(async (transaction) => {
    const { rows } = await sql<{ locked: boolean }>`
      SELECT pg_try_advisory_xact_lock(${key}) AS locked`.execute(transaction);
    if (!rows[0]?.locked) return false;
    await work();
    return true;
  });
}
