import { type Kysely, sql } from 'kysely';

/** When the timeout watch looked last, in one row: what was silent while it did not look may not have been. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE watch_passes (
      only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
      at timestamptz NOT NULL
    )`.execute(db);
}
