import { type Kysely, sql } from 'kysely';

/**
 * What a person does for a session: further attempts beyond the budget, from a checkpoint of his choice. How a
 * pending session is started is no longer copied into it: the agent's policy of the day says so, and `spawner`
 * says how it was started.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    ALTER TABLE sessions
      ADD COLUMN extra_budget integer NOT NULL DEFAULT 0,
      ADD COLUMN from_checkpoint_id uuid REFERENCES checkpoints (id) ON DELETE SET NULL,
      ADD COLUMN waiting_for text`.execute(db);
  await sql`
    CREATE INDEX sessions_from_checkpoint_id_idx ON sessions (from_checkpoint_id)
      WHERE from_checkpoint_id IS NOT NULL`.execute(db);
}
