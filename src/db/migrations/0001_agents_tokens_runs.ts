import { type Kysely, sql } from 'kysely';

/** Agents, their tokens, and the runs that record every pass made for them. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE agents (
      id uuid PRIMARY KEY,
      name text NOT NULL,
      policy jsonb NOT NULL DEFAULT '{}',
      paused boolean NOT NULL DEFAULT false,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now()
    )`.execute(db);
  // Two names that differ only in case would share one label and, on some hosts, one folder.
  await sql`CREATE UNIQUE INDEX agents_name_key ON agents (lower(name))`.execute(db);

  await sql`
    CREATE TABLE tokens (
      id uuid PRIMARY KEY,
      hash bytea NOT NULL UNIQUE,
      scope text NOT NULL CHECK (scope IN ('operator', 'agent', 'session')),
      agent_id uuid REFERENCES agents (id) ON DELETE CASCADE,
      session_id uuid,
      created_at timestamptz NOT NULL DEFAULT now(),
      expires_at timestamptz,
      revoked_at timestamptz,
      last_used_at timestamptz,
      CHECK ((scope = 'operator') = (agent_id IS NULL)),
      CHECK ((scope = 'session') = (session_id IS NOT NULL))
    )`.execute(db);
  await sql`CREATE INDEX tokens_agent_id_idx ON tokens (agent_id)`.execute(db);

  await sql`
    CREATE TABLE runs (
      id uuid PRIMARY KEY,
      agent_id uuid NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
      agent_name text NOT NULL,
      kind text NOT NULL CHECK (kind IN ('heartbeat', 'checkpoint', 'resume', 'prune')),
      session_id uuid,
      status text NOT NULL DEFAULT 'queued'
        CHECK (status IN ('queued', 'running', 'ok', 'warning', 'error')),
      input jsonb NOT NULL DEFAULT '{}',
      summary text NOT NULL DEFAULT '',
      warnings jsonb NOT NULL DEFAULT '[]',
      errors jsonb NOT NULL DEFAULT '[]',
      touched_issue_urls jsonb NOT NULL DEFAULT '[]',
      directives jsonb NOT NULL DEFAULT '[]',
      next_heartbeat_seconds integer,
      idempotency_key text,
      request_hash bytea,
      queued_at timestamptz NOT NULL DEFAULT now(),
      started_at timestamptz,
      finished_at timestamptz,
      epoch integer NOT NULL DEFAULT 0,
      claimed_by text,
      claim_expires_at timestamptz,
      dispatch integer NOT NULL DEFAULT 1,
      dispatched_at timestamptz NOT NULL DEFAULT now(),
      CHECK ((status IN ('queued', 'running')) = (finished_at IS NULL))
    ) WITH (fillfactor = 60)`.execute(db);
  // Lists go newest first by id (UUIDv7), for one agent or for all.
  await sql`CREATE INDEX runs_agent_id_idx ON runs (agent_id, id DESC)`.execute(db);
  // What is live is little: the sweep and the depth check read only this. Its condition names no
  // column that a claim changes, so that a claim is an update in place (HOT); room for it is left
  // by the table's fillfactor.
  await sql`
    CREATE INDEX runs_live_idx ON runs (dispatched_at) WHERE finished_at IS NULL`.execute(db);
  await sql`
    CREATE UNIQUE INDEX runs_idempotency_key ON runs (agent_id, idempotency_key)
      WHERE idempotency_key IS NOT NULL`.execute(db);
  await sql`
    CREATE TABLE run_steps (
      run_id uuid NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
      position smallint NOT NULL,
      name text NOT NULL,
      status text NOT NULL CHECK (status IN ('ok', 'warning', 'error', 'skipped')),
      duration_ms integer NOT NULL,
      PRIMARY KEY (run_id, position)
    )`.execute(db);
}
