-- Made by `npm run schema` from src/db/migrations. Do not edit.

CREATE TABLE agents (
  id uuid NOT NULL,
  name text NOT NULL,
  policy jsonb NOT NULL DEFAULT '{}'::jsonb,
  paused boolean NOT NULL DEFAULT false,
  created_at timestamp with time zone NOT NULL DEFAULT now(),
  updated_at timestamp with time zone NOT NULL DEFAULT now()
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
  dispatched_at timestamp with time zone NOT NULL DEFAULT now()
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

ALTER TABLE agents ADD CONSTRAINT agents_pkey PRIMARY KEY (id);
ALTER TABLE run_steps ADD CONSTRAINT run_steps_pkey PRIMARY KEY (run_id, "position");
ALTER TABLE run_steps ADD CONSTRAINT run_steps_run_id_fkey FOREIGN KEY (run_id) REFERENCES runs(id) ON DELETE CASCADE;
ALTER TABLE run_steps ADD CONSTRAINT run_steps_status_check CHECK ((status = ANY (ARRAY['ok'::text, 'warning'::text, 'error'::text, 'skipped'::text])));
ALTER TABLE runs ADD CONSTRAINT runs_pkey PRIMARY KEY (id);
ALTER TABLE runs ADD CONSTRAINT runs_agent_id_fkey FOREIGN KEY (agent_id) REFERENCES agents(id) ON DELETE CASCADE;
ALTER TABLE runs ADD CONSTRAINT runs_check CHECK (((status = ANY (ARRAY['queued'::text, 'running'::text])) = (finished_at IS NULL)));
ALTER TABLE runs ADD CONSTRAINT runs_kind_check CHECK ((kind = ANY (ARRAY['heartbeat'::text, 'checkpoint'::text, 'resume'::text, 'prune'::text])));
ALTER TABLE runs ADD CONSTRAINT runs_status_check CHECK ((status = ANY (ARRAY['queued'::text, 'running'::text, 'ok'::text, 'warning'::text, 'error'::text])));
ALTER TABLE tokens ADD CONSTRAINT tokens_hash_key UNIQUE (hash);
ALTER TABLE tokens ADD CONSTRAINT tokens_pkey PRIMARY KEY (id);
ALTER TABLE tokens ADD CONSTRAINT tokens_agent_id_fkey FOREIGN KEY (agent_id) REFERENCES agents(id) ON DELETE CASCADE;
ALTER TABLE tokens ADD CONSTRAINT tokens_check CHECK (((scope = 'operator'::text) = (agent_id IS NULL)));
ALTER TABLE tokens ADD CONSTRAINT tokens_check1 CHECK (((scope = 'session'::text) = (session_id IS NOT NULL)));
ALTER TABLE tokens ADD CONSTRAINT tokens_scope_check CHECK ((scope = ANY (ARRAY['operator'::text, 'agent'::text, 'session'::text])));

CREATE UNIQUE INDEX agents_name_key ON public.agents USING btree (lower(name));
CREATE INDEX runs_agent_id_idx ON public.runs USING btree (agent_id, id DESC);
CREATE INDEX runs_finished_at_idx ON public.runs USING btree (kind, finished_at) WHERE (finished_at IS NOT NULL);
CREATE UNIQUE INDEX runs_idempotency_key ON public.runs USING btree (agent_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);
CREATE INDEX runs_live_idx ON public.runs USING btree (dispatched_at) WHERE (status = ANY (ARRAY['queued'::text, 'running'::text]));
CREATE INDEX tokens_agent_id_idx ON public.tokens USING btree (agent_id);
