import { type Kysely, sql } from 'kysely';

/** How a worker goes on where a supervisor has died; null: it does not. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE sessions ADD COLUMN takeover jsonb`.execute(db);
}
