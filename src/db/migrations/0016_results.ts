import { type Kysely, sql } from 'kysely';

/** What is left of finished work that is not yet where it belongs. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE checkpoints ADD COLUMN on_remote boolean`.execute(db);
  await sql`ALTER TABLE sessions ADD COLUMN result_until timestamptz`.execute(db);
  await sql`
    CREATE INDEX sessions_result_until_idx ON sessions (id DESC) WHERE result_until IS NOT NULL
  `.execute(db);
}
