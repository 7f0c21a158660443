import { type Kysely, sql } from 'kysely';

/** Counts a run's dead workers apart from its claims, some of which are only given back. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE runs ADD COLUMN deaths integer NOT NULL DEFAULT 0`.execute(db);
}
