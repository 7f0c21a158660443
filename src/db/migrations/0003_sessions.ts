import { type Kysely, sql } from 'kysely';

/** Sessions: attempts of agents at pieces of work, their leases and deadlines. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE sessions (
      id uuid PRIMARY KEY,
      agent_id uuid NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
      agent_name text NOT NULL,
      root_id uuid NOT NULL,
      resumed_from uuid REFERENCES sessions (id) ON DELETE SET NULL,
      attempt integer NOT NULL DEFAULT 1,
      status text NOT NULL CHECK (status IN (
        'pending', 'starting', 'running',
        'completed', 'failed', 'cancelled', 'timed_out', 'interrupted')),
      objective text NOT NULL,
      repo text,
      issue_url text,
      worktree text,
      host text,
      branch text,
      checkpoint_branch text NOT NULL,
      latest_checkpoint_id uuid,
      turn integer,
      note text,
      summary text,
      lease_seconds integer NOT NULL,
      timeout_seconds integer,
      start_seconds integer NOT NULL,
      lease_expires_at timestamptz,
      deadline_at timestamptz,
      start_deadline_at timestamptz,
      due_at timestamptz GENERATED ALWAYS AS (
        least(lease_expires_at, deadline_at, start_deadline_at)) STORED,
      resume_at timestamptz,
      directive jsonb,
      needs_attention boolean NOT NULL DEFAULT false,
      end_reason text,
      created_at timestamptz NOT NULL DEFAULT now(),
      started_at timestamptz,
      ended_at timestamptz,
      CHECK ((status IN ('pending', 'starting', 'running')) = (ended_at IS NULL))
    ) WITH (fillfactor = 70)`.execute(db);
  // At most one successor for each ended session, whatever races.
  await sql`CREATE UNIQUE INDEX sessions_resumed_from_key ON sessions (resumed_from)`.execute(db);
  // One live session for each issue.
  await sql`
    CREATE UNIQUE INDEX sessions_live_issue_key ON sessions (lower(issue_url))
      WHERE ended_at IS NULL AND issue_url IS NOT NULL`.execute(db);
  await sql`CREATE INDEX sessions_agent_id_idx ON sessions (agent_id, id DESC)`.execute(db);
  await sql`CREATE INDEX sessions_root_id_idx ON sessions (root_id)`.execute(db);
  // The watch reads what is due, however many sessions there are.
  await sql`CREATE INDEX sessions_due_at_idx ON sessions (due_at) WHERE ended_at IS NULL`.execute(
    db,
  );
  await sql`
    CREATE INDEX sessions_resume_at_idx ON sessions (resume_at) WHERE resume_at IS NOT NULL
  `.execute(db);
  // A claim takes the oldest pending session of its agent.
  await sql`
    CREATE INDEX sessions_pending_idx ON sessions (agent_id, id) WHERE status = 'pending'
  `.execute(db);
  await sql`
    ALTER TABLE tokens ADD FOREIGN KEY (session_id) REFERENCES sessions (id) ON DELETE CASCADE
  `.execute(db);
  await sql`CREATE INDEX tokens_session_id_idx ON tokens (session_id)`.execute(db);
  // A session names its issue by the page's address.
  await sql`CREATE INDEX issues_url_idx ON issues (lower(url))`.execute(db);
  await sql`
    CREATE INDEX issue_claims_session_id_idx ON issue_claims (session_id)
      WHERE released_at IS NULL`.execute(db);
}
