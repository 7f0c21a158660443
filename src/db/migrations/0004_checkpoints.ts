import { type Kysely, sql } from 'kysely';

/** Checkpoints, the bundles that hold their commits, and how their sessions are resumed. */
export async function up(db: Kysely<unknown>): Promise<void> {
  // Which hosts have a worker now: work on a worktree goes to the host that has it.
  await sql`
    CREATE TABLE worker_hosts (
      host text PRIMARY KEY,
      seen_at timestamptz NOT NULL DEFAULT now()
    )`.execute(db);
  await sql`ALTER TABLE runs ADD COLUMN host text, ADD COLUMN error_code text`.execute(db);
  await sql`CREATE INDEX runs_session_id_idx ON runs (session_id) WHERE session_id IS NOT NULL`.execute(
    db,
  );

  await sql`
    CREATE TABLE bundles (
      id uuid PRIMARY KEY,
      session_id uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
      bytes bigint NOT NULL,
      prerequisites jsonb NOT NULL DEFAULT '[]',
      created_at timestamptz NOT NULL DEFAULT now()
    )`.execute(db);
  await sql`CREATE INDEX bundles_session_id_idx ON bundles (session_id)`.execute(db);
  await sql`
    CREATE TABLE bundle_chunks (
      bundle_id uuid NOT NULL REFERENCES bundles (id) ON DELETE CASCADE,
      position integer NOT NULL,
      data bytea NOT NULL,
      PRIMARY KEY (bundle_id, position)
    )`.execute(db);
  // A pack is compressed already: trying again costs time and saves nothing.
  await sql`ALTER TABLE bundle_chunks ALTER COLUMN data SET STORAGE EXTERNAL`.execute(db);

  await sql`
    CREATE TABLE checkpoints (
      id uuid PRIMARY KEY,
      session_id uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
      number integer NOT NULL,
      run_id uuid NOT NULL UNIQUE,
      trigger text NOT NULL,
      turn integer,
      head text,
      head_branch text,
      commit text,
      tree text,
      operation text,
      base_url text,
      durability text NOT NULL CHECK (durability IN ('local', 'stored', 'pushed')),
      files_changed integer,
      changes jsonb,
      diff bytea,
      reasoning jsonb,
      not_captured jsonb NOT NULL DEFAULT '[]',
      warnings jsonb NOT NULL DEFAULT '[]',
      bundle_id uuid REFERENCES bundles (id) ON DELETE SET NULL,
      late boolean NOT NULL DEFAULT false,
      created_at timestamptz NOT NULL DEFAULT now(),
      pruned_at timestamptz,
      UNIQUE (session_id, number)
    )`.execute(db);
  await sql`
    CREATE INDEX checkpoints_bundle_id_idx ON checkpoints (bundle_id) WHERE bundle_id IS NOT NULL
  `.execute(db);

  await sql`
    ALTER TABLE sessions
      ADD FOREIGN KEY (latest_checkpoint_id) REFERENCES checkpoints (id) ON DELETE SET NULL,
      -- Where our branch was left, in the worktree's repository and on the remote: only there may it go.
      ADD COLUMN local_commit text,
      ADD COLUMN remote_url text,
      ADD COLUMN remote_commit text,
      ADD COLUMN prune_at timestamptz,
      ADD COLUMN spawner text NOT NULL DEFAULT 'pull'
        CHECK (spawner IN ('pull', 'command', 'webhook')),
      ADD COLUMN restored jsonb,
      ADD COLUMN ready_at timestamptz,
      ADD COLUMN spawn_run_id uuid,
      ADD COLUMN spawn_tries integer NOT NULL DEFAULT 0,
      ADD COLUMN spawn_at timestamptz,
      ADD COLUMN spawn_error text`.execute(db);
  await sql`
    CREATE INDEX sessions_latest_checkpoint_id_idx ON sessions (latest_checkpoint_id)
      WHERE latest_checkpoint_id IS NOT NULL`.execute(db);
  await sql`
    CREATE INDEX sessions_spawn_at_idx ON sessions (spawn_at) WHERE status = 'pending'`.execute(db);
  await sql`
    CREATE INDEX sessions_prune_at_idx ON sessions (prune_at) WHERE prune_at IS NOT NULL
  `.execute(db);
  // Successors made before this version are ready: nothing prepares them.
  await sql`UPDATE sessions SET ready_at = now() WHERE status = 'pending'`.execute(db);
}
