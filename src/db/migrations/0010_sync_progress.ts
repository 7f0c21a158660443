import { type Kysely, sql } from 'kysely';

/** A listing of issues that was cut off goes on where it was: what it has read is noted page by page. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    ALTER TABLE repos
      ADD COLUMN pass_at text,
      ADD COLUMN pass_full boolean,
      ADD COLUMN pass_cursor timestamptz,
      ADD COLUMN pass_began_at timestamptz,
      ADD CHECK ((pass_at IS NULL) = (pass_full IS NULL)
        AND (pass_at IS NULL) = (pass_cursor IS NULL)
        AND (pass_at IS NULL) = (pass_began_at IS NULL))`.execute(db);
  await sql`
    CREATE TABLE sync_pages (
      repo_id uuid NOT NULL REFERENCES repos (id) ON DELETE CASCADE,
      at text NOT NULL,
      numbers integer[] NOT NULL,
      PRIMARY KEY (repo_id, at)
    )`.execute(db);
}
