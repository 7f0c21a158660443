import { type Kysely, sql } from 'kysely';

/**
 * A supervisor that ends an attempt may go on with the next one itself. Of such an ended session this is set; of
 * its successor it is until when nobody else may have it.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE sessions ADD COLUMN reserved_until timestamptz`.execute(db);
}
