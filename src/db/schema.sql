-- Made by `npm run schema` from src/db/migrations. Do not edit.

CREATE TABLE agent_repos (
  agent_id uuid NOT NULL,
  repo_id uuid NOT NULL
);

CREATE TABLE agents (
  id uuid NOT NULL,
  name text NOT NULL,
  policy jsonb NOT NULL DEFAULT '{}'::jsonb,
  paused boolean NOT NULL DEFAULT false,
  created_at timestamp with time zone NOT NULL DEFAULT now(),
  updated_at timestamp with time zone NOT NULL DEFAULT now()
);

CREATE TABLE audit (
  id uuid NOT NULL,
  at timestamp with time zone NOT NULL DEFAULT now(),
  actor text NOT NULL,
  token_id uuid,
  agent_name text,
  address text,
  request_id text,
  action text NOT NULL,
  target text NOT NULL,
  details jsonb NOT NULL DEFAULT '{}'::jsonb
);

CREATE TABLE bundle_chunks (
  bundle_id uuid NOT NULL,
  "position" integer NOT NULL,
  data bytea NOT NULL
);

CREATE TABLE bundles (
  id uuid NOT NULL,
  session_id uuid NOT NULL,
  bytes bigint NOT NULL,
  prerequisites jsonb NOT NULL DEFAULT '[]'::jsonb,
  created_at timestamp with time zone NOT NULL DEFAULT now()
);

CREATE TABLE checkpoints (
  id uuid NOT NULL,
  session_id uuid NOT NULL,
  number integer NOT NULL,
  run_id uuid NOT NULL,
  trigger text NOT NULL,
  turn integer,
  head text,
  head_branch text,
  commit text,
  tree text,
  operation text,
  base_url text,
  durability text NOT NULL,
  files_changed integer,
  changes jsonb,
  diff bytea,
  reasoning jsonb,
  not_captured jsonb NOT NULL DEFAULT '[]'::jsonb,
  warnings jsonb NOT NULL DEFAULT '[]'::jsonb,
  bundle_id uuid,
  late boolean NOT NULL DEFAULT false,
  created_at timestamp with time zone NOT NULL DEFAULT now(),
  pruned_at timestamp with time zone,
  on_remote boolean
);

CREATE TABLE forge_turns (
  credential text NOT NULL,
  next_write_at timestamp with time zone NOT NULL
);

CREATE TABLE former_repo_names (
  forge text NOT NULL,
  owner text NOT NULL,
  name text NOT NULL,
  repo_id uuid NOT NULL
);

CREATE TABLE issue_claims (
  id uuid NOT NULL,
  issue_id uuid NOT NULL,
  agent_id uuid NOT NULL,
  session_id uuid,
  source text NOT NULL,
  claimed_at timestamp with time zone NOT NULL DEFAULT now(),
  released_at timestamp with time zone,
  release_reason text,
  labels_settled_at timestamp with time zone,
  labels_due_at timestamp with time zone,
  labels_tries integer NOT NULL DEFAULT 0,
  labels_failure text
);

CREATE TABLE issues (
  id uuid NOT NULL,
  repo_id uuid NOT NULL,
  number integer NOT NULL,
  url text NOT NULL,
  title text NOT NULL,
  state text NOT NULL,
  labels text[] NOT NULL,
  label_keys text[] NOT NULL,
  upstream_updated_at timestamp with time zone NOT NULL,
  closed_at timestamp with time zone,
  changed_at timestamp with time zone NOT NULL DEFAULT now(),
  labels_written_at timestamp with time zone,
  label_lease_until timestamp with time zone,
  vanished_at timestamp with time zone,
  created_at timestamp with time zone NOT NULL DEFAULT now()
);

CREATE TABLE repos (
  id uuid NOT NULL,
  forge text NOT NULL DEFAULT 'github'::text,
  owner text NOT NULL,
  name text NOT NULL,
  upstream_id text,
  sync_cursor timestamp with time zone,
  pass_started_at timestamp with time zone,
  synced_at timestamp with time zone,
  last_full_sync_at timestamp with time zone,
  lease_holder text,
  lease_epoch bigint NOT NULL DEFAULT 0,
  lease_until timestamp with time zone,
  failure_kind text,
  failure_text text,
  failure_count integer NOT NULL DEFAULT 0,
  failed_at timestamp with time zone,
  next_attempt_at timestamp with time zone,
  label_failure_kind text,
  label_failure_text text,
  label_failure_count integer NOT NULL DEFAULT 0,
  label_next_attempt_at timestamp with time zone,
  created_at timestamp with time zone NOT NULL DEFAULT now(),
  updated_at timestamp with time zone NOT NULL DEFAULT now(),
  pass_at text,
  pass_full boolean,
  pass_cursor timestamp with time zone,
  pass_began_at timestamp with time zone
);

CREATE TABLE run_steps (
  run_id uuid NOT NULL,
  "position" smallint NOT NULL,
  name text NOT NULL,
  status text NOT NULL,
  duration_ms integer NOT NULL
);

CREATE TABLE runs (
  id uuid NOT NULL,
  agent_id uuid NOT NULL,
  agent_name text NOT NULL,
  kind text NOT NULL,
  session_id uuid,
  status text NOT NULL DEFAULT 'queued'::text,
  input jsonb NOT NULL DEFAULT '{}'::jsonb,
  summary text NOT NULL DEFAULT ''::text,
  warnings jsonb NOT NULL DEFAULT '[]'::jsonb,
  errors jsonb NOT NULL DEFAULT '[]'::jsonb,
  touched_issue_urls jsonb NOT NULL DEFAULT '[]'::jsonb,
  directives jsonb NOT NULL DEFAULT '[]'::jsonb,
  next_heartbeat_seconds integer,
  idempotency_key text,
  request_hash bytea,
  queued_at timestamp with time zone NOT NULL DEFAULT now(),
  started_at timestamp with time zone,
  finished_at timestamp with time zone,
  epoch integer NOT NULL DEFAULT 0,
  claimed_by text,
  claim_expires_at timestamp with time zone,
  dispatch integer NOT NULL DEFAULT 1,
  dispatched_at timestamp with time zone NOT NULL DEFAULT now(),
  host text,
  error_code text,
  deaths integer NOT NULL DEFAULT 0
);

CREATE TABLE sessions (
  id uuid NOT NULL,
  agent_id uuid NOT NULL,
  agent_name text NOT NULL,
  root_id uuid NOT NULL,
  resumed_from uuid,
  attempt integer NOT NULL DEFAULT 1,
  status text NOT NULL,
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
  lease_expires_at timestamp with time zone,
  deadline_at timestamp with time zone,
  start_deadline_at timestamp with time zone,
  due_at timestamp with time zone DEFAULT LEAST(lease_expires_at, deadline_at, start_deadline_at),
  resume_at timestamp with time zone,
  directive jsonb,
  needs_attention boolean NOT NULL DEFAULT false,
  end_reason text,
  created_at timestamp with time zone NOT NULL DEFAULT now(),
  started_at timestamp with time zone,
  ended_at timestamp with time zone,
  local_commit text,
  remote_url text,
  remote_commit text,
  prune_at timestamp with time zone,
  spawner text NOT NULL DEFAULT 'pull'::text,
  restored jsonb,
  ready_at timestamp with time zone,
  spawn_run_id uuid,
  spawn_tries integer NOT NULL DEFAULT 0,
  spawn_at timestamp with time zone,
  spawn_error text,
  issue_key text,
  watch_at timestamp with time zone,
  reserved_until timestamp with time zone,
  extra_budget integer NOT NULL DEFAULT 0,
  from_checkpoint_id uuid,
  waiting_for text,
  result_until timestamp with time zone,
  worktree_kind text,
  result_landed boolean NOT NULL DEFAULT false,
  takeover jsonb
);

CREATE TABLE sync_pages (
  repo_id uuid NOT NULL,
  at text NOT NULL,
  numbers integer[] NOT NULL
);

CREATE TABLE tokens (
  id uuid NOT NULL,
  hash bytea NOT NULL,
  scope text NOT NULL,
  agent_id uuid,
  session_id uuid,
  created_at timestamp with time zone NOT NULL DEFAULT now(),
  expires_at timestamp with time zone,
  revoked_at timestamp with time zone,
  last_used_at timestamp with time zone
);

CREATE TABLE watch_passes (
  only_row boolean NOT NULL DEFAULT true,
  at timestamp with time zone NOT NULL
);

CREATE TABLE worker_hosts (
  host text NOT NULL,
  seen_at timestamp with time zone NOT NULL DEFAULT now()
);

CREATE TABLE worktree_owners (
  host text NOT NULL,
  path text NOT NULL,
  agent_id uuid NOT NULL,
  created_at timestamp with time zone NOT NULL DEFAULT now()
);

ALTER TABLE agent_repos ADD CONSTRAINT agent_repos_pkey PRIMARY KEY (agent_id, repo_id);
ALTER TABLE agent_repos ADD CONSTRAINT agent_repos_agent_id_fkey FOREIGN KEY (agent_id) REFERENCES agents(id) ON DELETE CASCADE;
ALTER TABLE agent_repos ADD CONSTRAINT agent_repos_repo_id_fkey FOREIGN KEY (repo_id) REFERENCES repos(id) ON DELETE CASCADE;
ALTER TABLE agents ADD CONSTRAINT agents_pkey PRIMARY KEY (id);
ALTER TABLE audit ADD CONSTRAINT audit_pkey PRIMARY KEY (id);
ALTER TABLE audit ADD CONSTRAINT audit_actor_check CHECK ((actor = ANY (ARRAY['operator'::text, 'agent'::text, 'session'::text, 'system'::text, 'stranger'::text])));
ALTER TABLE bundle_chunks ADD CONSTRAINT bundle_chunks_pkey PRIMARY KEY (bundle_id, "position");
ALTER TABLE bundle_chunks ADD CONSTRAINT bundle_chunks_bundle_id_fkey FOREIGN KEY (bundle_id) REFERENCES bundles(id) ON DELETE CASCADE;
ALTER TABLE bundles ADD CONSTRAINT bundles_pkey PRIMARY KEY (id);
ALTER TABLE bundles ADD CONSTRAINT bundles_session_id_fkey FOREIGN KEY (session_id) REFERENCES sessions(id) ON DELETE CASCADE;
ALTER TABLE checkpoints ADD CONSTRAINT checkpoints_run_id_key UNIQUE (run_id);
ALTER TABLE checkpoints ADD CONSTRAINT checkpoints_session_id_number_key UNIQUE (session_id, number);
ALTER TABLE checkpoints ADD CONSTRAINT checkpoints_pkey PRIMARY KEY (id);
ALTER TABLE checkpoints ADD CONSTRAINT checkpoints_bundle_id_fkey FOREIGN KEY (bundle_id) REFERENCES bundles(id) ON DELETE SET NULL;
ALTER TABLE checkpoints ADD CONSTRAINT checkpoints_session_id_fkey FOREIGN KEY (session_id) REFERENCES sessions(id) ON DELETE CASCADE;
ALTER TABLE checkpoints ADD CONSTRAINT checkpoints_durability_check CHECK ((durability = ANY (ARRAY['local'::text, 'stored'::text, 'pushed'::text])));
ALTER TABLE forge_turns ADD CONSTRAINT forge_turns_pkey PRIMARY KEY (credential);
ALTER TABLE former_repo_names ADD CONSTRAINT former_repo_names_pkey PRIMARY KEY (forge, owner, name);
ALTER TABLE former_repo_names ADD CONSTRAINT former_repo_names_repo_id_fkey FOREIGN KEY (repo_id) REFERENCES repos(id) ON DELETE CASCADE;
ALTER TABLE former_repo_names ADD CONSTRAINT former_repo_names_check CHECK (((owner = lower(owner)) AND (name = lower(name))));
ALTER TABLE issue_claims ADD CONSTRAINT issue_claims_pkey PRIMARY KEY (id);
ALTER TABLE issue_claims ADD CONSTRAINT issue_claims_agent_id_fkey FOREIGN KEY (agent_id) REFERENCES agents(id) ON DELETE CASCADE;
ALTER TABLE issue_claims ADD CONSTRAINT issue_claims_issue_id_fkey FOREIGN KEY (issue_id) REFERENCES issues(id) ON DELETE CASCADE;
ALTER TABLE issue_claims ADD CONSTRAINT issue_claims_check CHECK (((released_at IS NULL) = (release_reason IS NULL)));
ALTER TABLE issue_claims ADD CONSTRAINT issue_claims_check1 CHECK (((labels_settled_at IS NULL) OR (released_at IS NOT NULL)));
ALTER TABLE issue_claims ADD CONSTRAINT issue_claims_source_check CHECK ((source = ANY (ARRAY['session'::text, 'label'::text])));
ALTER TABLE issues ADD CONSTRAINT issues_repo_id_number_key UNIQUE (repo_id, number);
ALTER TABLE issues ADD CONSTRAINT issues_pkey PRIMARY KEY (id);
ALTER TABLE issues ADD CONSTRAINT issues_repo_id_fkey FOREIGN KEY (repo_id) REFERENCES repos(id) ON DELETE CASCADE;
ALTER TABLE issues ADD CONSTRAINT issues_state_check CHECK ((state = ANY (ARRAY['open'::text, 'closed'::text])));
ALTER TABLE repos ADD CONSTRAINT repos_pkey PRIMARY KEY (id);
ALTER TABLE repos ADD CONSTRAINT repos_check CHECK (((lease_holder IS NULL) = (lease_until IS NULL)));
ALTER TABLE repos ADD CONSTRAINT repos_check1 CHECK (((failure_kind IS NULL) = (failure_text IS NULL)));
ALTER TABLE repos ADD CONSTRAINT repos_check2 CHECK (((label_failure_kind IS NULL) = (label_failure_text IS NULL)));
ALTER TABLE repos ADD CONSTRAINT repos_check3 CHECK ((((pass_at IS NULL) = (pass_full IS NULL)) AND ((pass_at IS NULL) = (pass_cursor IS NULL)) AND ((pass_at IS NULL) = (pass_began_at IS NULL))));
ALTER TABLE repos ADD CONSTRAINT repos_forge_check CHECK ((forge = 'github'::text));
ALTER TABLE run_steps ADD CONSTRAINT run_steps_pkey PRIMARY KEY (run_id, "position");
ALTER TABLE run_steps ADD CONSTRAINT run_steps_run_id_fkey FOREIGN KEY (run_id) REFERENCES runs(id) ON DELETE CASCADE;
ALTER TABLE run_steps ADD CONSTRAINT run_steps_status_check CHECK ((status = ANY (ARRAY['ok'::text, 'warning'::text, 'error'::text, 'skipped'::text])));
ALTER TABLE runs ADD CONSTRAINT runs_pkey PRIMARY KEY (id);
ALTER TABLE runs ADD CONSTRAINT runs_agent_id_fkey FOREIGN KEY (agent_id) REFERENCES agents(id) ON DELETE CASCADE;
ALTER TABLE runs ADD CONSTRAINT runs_check CHECK (((status = ANY (ARRAY['queued'::text, 'running'::text])) = (finished_at IS NULL)));
ALTER TABLE runs ADD CONSTRAINT runs_kind_check CHECK ((kind = ANY (ARRAY['heartbeat'::text, 'checkpoint'::text, 'resume'::text, 'prune'::text])));
ALTER TABLE runs ADD CONSTRAINT runs_status_check CHECK ((status = ANY (ARRAY['queued'::text, 'running'::text, 'ok'::text, 'warning'::text, 'error'::text])));
ALTER TABLE sessions ADD CONSTRAINT sessions_pkey PRIMARY KEY (id);
ALTER TABLE sessions ADD CONSTRAINT sessions_agent_id_fkey FOREIGN KEY (agent_id) REFERENCES agents(id) ON DELETE CASCADE;
ALTER TABLE sessions ADD CONSTRAINT sessions_from_checkpoint_id_fkey FOREIGN KEY (from_checkpoint_id) REFERENCES checkpoints(id) ON DELETE SET NULL;
ALTER TABLE sessions ADD CONSTRAINT sessions_latest_checkpoint_id_fkey FOREIGN KEY (latest_checkpoint_id) REFERENCES checkpoints(id) ON DELETE SET NULL;
ALTER TABLE sessions ADD CONSTRAINT sessions_resumed_from_fkey FOREIGN KEY (resumed_from) REFERENCES sessions(id) ON DELETE SET NULL;
ALTER TABLE sessions ADD CONSTRAINT sessions_check CHECK (((status = ANY (ARRAY['pending'::text, 'starting'::text, 'running'::text])) = (ended_at IS NULL)));
ALTER TABLE sessions ADD CONSTRAINT sessions_spawner_check CHECK ((spawner = ANY (ARRAY['pull'::text, 'command'::text, 'webhook'::text])));
ALTER TABLE sessions ADD CONSTRAINT sessions_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'starting'::text, 'running'::text, 'completed'::text, 'failed'::text, 'cancelled'::text, 'timed_out'::text, 'interrupted'::text])));
ALTER TABLE sync_pages ADD CONSTRAINT sync_pages_pkey PRIMARY KEY (repo_id, at);
ALTER TABLE sync_pages ADD CONSTRAINT sync_pages_repo_id_fkey FOREIGN KEY (repo_id) REFERENCES repos(id) ON DELETE CASCADE;
ALTER TABLE tokens ADD CONSTRAINT tokens_hash_key UNIQUE (hash);
ALTER TABLE tokens ADD CONSTRAINT tokens_pkey PRIMARY KEY (id);
ALTER TABLE tokens ADD CONSTRAINT tokens_agent_id_fkey FOREIGN KEY (agent_id) REFERENCES agents(id) ON DELETE CASCADE;
ALTER TABLE tokens ADD CONSTRAINT tokens_session_id_fkey FOREIGN KEY (session_id) REFERENCES sessions(id) ON DELETE CASCADE;
ALTER TABLE tokens ADD CONSTRAINT tokens_check CHECK (((scope = 'operator'::text) = (agent_id IS NULL)));
ALTER TABLE tokens ADD CONSTRAINT tokens_check1 CHECK (((scope = 'session'::text) = (session_id IS NOT NULL)));
ALTER TABLE tokens ADD CONSTRAINT tokens_scope_check CHECK ((scope = ANY (ARRAY['operator'::text, 'agent'::text, 'session'::text])));
ALTER TABLE watch_passes ADD CONSTRAINT watch_passes_pkey PRIMARY KEY (only_row);
ALTER TABLE watch_passes ADD CONSTRAINT watch_passes_only_row_check CHECK (only_row);
ALTER TABLE worker_hosts ADD CONSTRAINT worker_hosts_pkey PRIMARY KEY (host);
ALTER TABLE worktree_owners ADD CONSTRAINT worktree_owners_pkey PRIMARY KEY (host, path);
ALTER TABLE worktree_owners ADD CONSTRAINT worktree_owners_agent_id_fkey FOREIGN KEY (agent_id) REFERENCES agents(id) ON DELETE CASCADE;

CREATE INDEX agent_repos_repo_id_idx ON public.agent_repos USING btree (repo_id);
CREATE UNIQUE INDEX agents_name_key ON public.agents USING btree (lower(name));
CREATE INDEX bundles_session_id_idx ON public.bundles USING btree (session_id);
CREATE INDEX checkpoints_bundle_id_idx ON public.checkpoints USING btree (bundle_id) WHERE (bundle_id IS NOT NULL);
CREATE INDEX former_repo_names_repo_id_idx ON public.former_repo_names USING btree (repo_id);
CREATE INDEX issue_claims_issue_id_idx ON public.issue_claims USING btree (issue_id);
CREATE INDEX issue_claims_labels_due_idx ON public.issue_claims USING btree (labels_due_at) WHERE ((labels_due_at IS NOT NULL) AND (labels_settled_at IS NULL));
CREATE UNIQUE INDEX issue_claims_open_key ON public.issue_claims USING btree (issue_id) WHERE (released_at IS NULL);
CREATE INDEX issue_claims_session_id_idx ON public.issue_claims USING btree (session_id) WHERE (released_at IS NULL);
CREATE INDEX issue_claims_unsettled_idx ON public.issue_claims USING btree (agent_id) WHERE (labels_settled_at IS NULL);
CREATE INDEX issues_label_keys_idx ON public.issues USING gin (label_keys) WHERE ((state = 'open'::text) AND (vanished_at IS NULL));
CREATE UNIQUE INDEX repos_name_key ON public.repos USING btree (forge, lower(owner), lower(name));
CREATE INDEX runs_agent_id_idx ON public.runs USING btree (agent_id, id DESC);
CREATE UNIQUE INDEX runs_idempotency_key ON public.runs USING btree (agent_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);
CREATE INDEX runs_kind_idx ON public.runs USING btree (kind, id DESC) WHERE (kind = ANY (ARRAY['checkpoint'::text, 'resume'::text, 'prune'::text]));
CREATE INDEX runs_live_idx ON public.runs USING btree (dispatched_at) WHERE (finished_at IS NULL);
CREATE INDEX runs_session_id_idx ON public.runs USING btree (session_id) WHERE (session_id IS NOT NULL);
CREATE INDEX runs_trouble_idx ON public.runs USING btree (status, id DESC) WHERE (status = ANY (ARRAY['warning'::text, 'error'::text]));
CREATE INDEX runs_waiting_idx ON public.runs USING btree (agent_id, kind) WHERE (finished_at IS NULL);
CREATE INDEX sessions_agent_id_idx ON public.sessions USING btree (agent_id, id DESC);
CREATE INDEX sessions_attention_idx ON public.sessions USING btree (id DESC) WHERE needs_attention;
CREATE INDEX sessions_from_checkpoint_id_idx ON public.sessions USING btree (from_checkpoint_id) WHERE (from_checkpoint_id IS NOT NULL);
CREATE INDEX sessions_latest_checkpoint_id_idx ON public.sessions USING btree (latest_checkpoint_id) WHERE (latest_checkpoint_id IS NOT NULL);
CREATE UNIQUE INDEX sessions_live_issue_key ON public.sessions USING btree (issue_key) WHERE ((ended_at IS NULL) AND (issue_key IS NOT NULL));
CREATE INDEX sessions_pending_idx ON public.sessions USING btree (agent_id, id) WHERE (status = 'pending'::text);
CREATE INDEX sessions_prune_at_idx ON public.sessions USING btree (prune_at) WHERE (prune_at IS NOT NULL);
CREATE INDEX sessions_result_until_idx ON public.sessions USING btree (id DESC) WHERE (result_until IS NOT NULL);
CREATE INDEX sessions_resume_at_idx ON public.sessions USING btree (resume_at) WHERE (resume_at IS NOT NULL);
CREATE UNIQUE INDEX sessions_resumed_from_key ON public.sessions USING btree (resumed_from);
CREATE INDEX sessions_root_id_idx ON public.sessions USING btree (root_id);
CREATE INDEX sessions_spawn_at_idx ON public.sessions USING btree (spawn_at) WHERE (status = 'pending'::text);
CREATE INDEX sessions_watch_at_idx ON public.sessions USING btree (watch_at) WHERE (ended_at IS NULL);
CREATE INDEX tokens_agent_id_idx ON public.tokens USING btree (agent_id);
CREATE INDEX tokens_session_id_idx ON public.tokens USING btree (session_id);
