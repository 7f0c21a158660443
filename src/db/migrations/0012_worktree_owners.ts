import { type Kysely, sql } from 'kysely';

/** Which agent's a repository on a host is: that of the first session that had it captured. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE worktree_owners (
      host text NOT NULL,
      path text NOT NULL,
      agent_id uuid NOT NULL REFERENCES agents ON DELETE CASCADE,
      created_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (host, path)
    )`.execute(db);
}
