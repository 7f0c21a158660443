import { type Kysely, sql } from 'kysely';

/**
 * Sessions name their issue by one key, however its address is written, and renamed repositories are
 * known by their former names too. So two agents cannot work on one issue.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`ALTER TABLE sessions ADD COLUMN issue_key text`.execute(db);
  // An address of another kind than of an issue's page stays as it is, but for its end.
  await sql`
    UPDATE sessions SET issue_key = regexp_replace(
      regexp_replace(lower(btrim(issue_url)),
        '^https?://(?:www\\.)?([^/?#]+)/+([^/?#]+)/+([^/?#]+)/+(?:issues|pulls?)/+0*([1-9][0-9]{0,8})(?:[/?#].*)?$',
        '\\1/\\2/\\3#\\4'),
      '^(https?://[^?#]*[^?#/])/+$', '\\1')
    WHERE issue_url IS NOT NULL`.execute(db);
  // Two that live on one issue stay as they are; the issue is the older one's.
  await sql`
    UPDATE sessions SET issue_key = NULL
    WHERE ended_at IS NULL AND issue_key IS NOT NULL AND EXISTS (
      SELECT FROM sessions AS older
      WHERE older.ended_at IS NULL AND older.issue_key = sessions.issue_key
        AND older.id < sessions.id)`.execute(db);
  await sql`DROP INDEX sessions_live_issue_key`.execute(db);
  // One live session for each issue.
  await sql`
    CREATE UNIQUE INDEX sessions_live_issue_key ON sessions (issue_key)
      WHERE ended_at IS NULL AND issue_key IS NOT NULL`.execute(db);
  // Issues are found by their repository and number.
  await sql`DROP INDEX issues_url_idx`.execute(db);

  await sql`
    CREATE TABLE former_repo_names (
      forge text NOT NULL,
      owner text NOT NULL,
      name text NOT NULL,
      repo_id uuid NOT NULL REFERENCES repos (id) ON DELETE CASCADE,
      CHECK (owner = lower(owner) AND name = lower(name)),
      PRIMARY KEY (forge, owner, name)
    )`.execute(db);
  await sql`
    CREATE INDEX former_repo_names_repo_id_idx ON former_repo_names (repo_id)`.execute(db);
}
