import { type Kysely, sql } from 'kysely';

/** The result of a completed session that has landed after its last checkpoint was made. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    ALTER TABLE sessions ADD COLUMN result_landed boolean NOT NULL DEFAULT false`.execute(db);
}
