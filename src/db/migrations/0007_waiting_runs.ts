import { type Kysely, sql } from 'kysely';

/** Counts what waits of one agent without reading its finished runs. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE INDEX runs_waiting_idx ON runs (agent_id, kind) WHERE finished_at IS NULL`.execute(db);
}
