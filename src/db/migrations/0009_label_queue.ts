import { type Kysely, sql } from 'kysely';

/**
 * Labels that are to be written wait in Postgres, oldest first, and are written by whoever may write
 * next with the credentials.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    ALTER TABLE issue_claims
      ADD COLUMN labels_due_at timestamptz,
      ADD COLUMN labels_tries integer NOT NULL DEFAULT 0,
      ADD COLUMN labels_failure text`.execute(db);
  await sql`
    UPDATE issue_claims SET labels_due_at = now()
    WHERE released_at IS NOT NULL AND labels_settled_at IS NULL`.execute(db);
  await sql`
    CREATE INDEX issue_claims_labels_due_idx ON issue_claims (labels_due_at)
      WHERE labels_due_at IS NOT NULL AND labels_settled_at IS NULL`.execute(db);
  await sql`
    CREATE TABLE forge_turns (
      credential text PRIMARY KEY,
      next_write_at timestamptz NOT NULL
    )`.execute(db);
}
