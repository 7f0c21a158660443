import { type Kysely, sql } from 'kysely';

/** Tracked repositories, their issues as last seen upstream, and who has claimed which issue. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE repos (
      id uuid PRIMARY KEY,
      forge text NOT NULL DEFAULT 'github' CHECK (forge IN ('github')),
      owner text NOT NULL,
      name text NOT NULL,
      upstream_id text,
      sync_cursor timestamptz,
      pass_started_at timestamptz,
      synced_at timestamptz,
      last_full_sync_at timestamptz,
      lease_holder text,
      lease_epoch bigint NOT NULL DEFAULT 0,
      lease_until timestamptz,
      failure_kind text,
      failure_text text,
      failure_count integer NOT NULL DEFAULT 0,
      failed_at timestamptz,
      next_attempt_at timestamptz,
      label_failure_kind text,
      label_failure_text text,
      label_failure_count integer NOT NULL DEFAULT 0,
      label_next_attempt_at timestamptz,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      CHECK ((lease_holder IS NULL) = (lease_until IS NULL)),
      CHECK ((failure_kind IS NULL) = (failure_text IS NULL)),
      CHECK ((label_failure_kind IS NULL) = (label_failure_text IS NULL))
    )`.execute(db);
  await sql`
    CREATE UNIQUE INDEX repos_name_key ON repos (forge, lower(owner), lower(name))
  `.execute(db);

  await sql`
    CREATE TABLE agent_repos (
      agent_id uuid NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
      repo_id uuid NOT NULL REFERENCES repos (id) ON DELETE CASCADE,
      PRIMARY KEY (agent_id, repo_id)
    )`.execute(db);
  await sql`CREATE INDEX agent_repos_repo_id_idx ON agent_repos (repo_id)`.execute(db);

  await sql`
    CREATE TABLE issues (
      id uuid PRIMARY KEY,
      repo_id uuid NOT NULL REFERENCES repos (id) ON DELETE CASCADE,
      number integer NOT NULL,
      url text NOT NULL,
      title text NOT NULL,
      state text NOT NULL CHECK (state IN ('open', 'closed')),
      labels text[] NOT NULL,
      label_keys text[] NOT NULL,
      upstream_updated_at timestamptz NOT NULL,
      closed_at timestamptz,
      changed_at timestamptz NOT NULL DEFAULT now(),
      labels_written_at timestamptz,
      label_lease_until timestamptz,
      vanished_at timestamptz,
      created_at timestamptz NOT NULL DEFAULT now(),
      UNIQUE (repo_id, number)
    )`.execute(db);
  // Claims that people or other programs make by labels are found by them.
  await sql`
    CREATE INDEX issues_label_keys_idx ON issues USING gin (label_keys)
      WHERE state = 'open' AND vanished_at IS NULL`.execute(db);

  await sql`
    CREATE TABLE issue_claims (
      id uuid PRIMARY KEY,
      issue_id uuid NOT NULL REFERENCES issues (id) ON DELETE CASCADE,
      agent_id uuid NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
      session_id uuid,
      source text NOT NULL CHECK (source IN ('session', 'label')),
      claimed_at timestamptz NOT NULL DEFAULT now(),
      released_at timestamptz,
      release_reason text,
      labels_settled_at timestamptz,
      CHECK ((released_at IS NULL) = (release_reason IS NULL)),
      CHECK (labels_settled_at IS NULL OR released_at IS NOT NULL)
    )`.execute(db);
  await sql`
    CREATE UNIQUE INDEX issue_claims_open_key ON issue_claims (issue_id) WHERE released_at IS NULL
  `.execute(db);
  // A heartbeat looks at open claims and at those whose labels upstream still lag behind.
  await sql`
    CREATE INDEX issue_claims_unsettled_idx ON issue_claims (agent_id)
      WHERE labels_settled_at IS NULL`.execute(db);
  await sql`CREATE INDEX issue_claims_issue_id_idx ON issue_claims (issue_id)`.execute(db);
}
