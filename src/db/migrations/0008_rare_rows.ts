import { type Kysely, sql } from 'kysely';

/**
 * Finds the newest of what is rare without reading back through everything. Heartbeats that went well, which
 * nearly all runs are, have no entry in any of these.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE INDEX runs_kind_idx ON runs (kind, id DESC)
      WHERE kind IN ('checkpoint', 'resume', 'prune')`.execute(db);
  await sql`
    CREATE INDEX runs_trouble_idx ON runs (status, id DESC)
      WHERE status IN ('warning', 'error')`.execute(db);
  await sql`
    CREATE INDEX sessions_attention_idx ON sessions (id DESC) WHERE needs_attention`.execute(db);
}
