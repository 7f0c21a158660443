import type { ColumnType, Generated, Insertable, Selectable, Updateable } from 'kysely';

/**
 * The tables as TypeScript sees them. The source is `migrations/`; `schema.sql` shows the result.
 * `timestamptz` columns are read as Date; jsonb columns are written as JSON text.
 */
export type Database = {
  agents: AgentsTable;
  tokens: TokensTable;
  runs: RunsTable;
  run_steps: RunStepsTable;
};

type Timestamp = ColumnType<Date, Date | string, Date | string>;
type GeneratedTimestamp = ColumnType<Date, Date | string | undefined, Date | string>;
type Json<T> = ColumnType<T, string, string>;
type GeneratedJson<T> = ColumnType<T, string | undefined, string>;

/** What an operator may set for an agent. Absent fields fall back to the server's settings. */
export type AgentPolicy = {
  /** Seconds between heartbeats, told to the agent as `nextHeartbeatSeconds`. */
  heartbeatSeconds?: number;
};

export type AgentsTable = {
  id: string;
  name: string;
  policy: GeneratedJson<AgentPolicy>;
  paused: Generated<boolean>;
  created_at: GeneratedTimestamp;
  updated_at: GeneratedTimestamp;
};
export type Agent = Selectable<AgentsTable>;

export type TokenScope = 'operator' | 'agent' | 'session';

export type TokensTable = {
  id: string;
  /** SHA-256 of the token. The token itself is never stored. */
  hash: Buffer;
  scope: TokenScope;
  agent_id: string | null;
  session_id: string | null;
  created_at: GeneratedTimestamp;
  expires_at: Timestamp | null;
  revoked_at: Timestamp | null;
  last_used_at: Timestamp | null;
};
export type Token = Selectable<TokensTable>;

export type RunKind = 'heartbeat' | 'checkpoint' | 'resume' | 'prune';
export type RunOutcome = 'ok' | 'warning' | 'error';
export type RunStatus = 'queued' | 'running' | RunOutcome;

/** What the server wants of the agent; travels on the reply of a heartbeat. */
export type Directive = {
  type: 'cancel' | 'checkpoint' | 'stop';
  sessionId: string;
  reason: string;
};

/** What the agent said in its heartbeat. */
export type HeartbeatInput = { sessionId?: string; turn?: number; note?: string };

export type RunsTable = {
  id: string;
  agent_id: string;
  agent_name: string;
  kind: RunKind;
  session_id: string | null;
  status: ColumnType<RunStatus, RunStatus | undefined, RunStatus>;
  input: GeneratedJson<HeartbeatInput>;
  summary: Generated<string>;
  warnings: GeneratedJson<string[]>;
  errors: GeneratedJson<string[]>;
  touched_issue_urls: GeneratedJson<string[]>;
  directives: GeneratedJson<Directive[]>;
  next_heartbeat_seconds: number | null;
  idempotency_key: string | null;
  request_hash: Buffer | null;
  queued_at: GeneratedTimestamp;
  started_at: Timestamp | null;
  finished_at: Timestamp | null;
  /** Raised by every claim: only the holder of the newest epoch may write the result. */
  epoch: Generated<number>;
  claimed_by: string | null;
  claim_expires_at: Timestamp | null;
  /** How often the run was handed to the queue; part of the job's id. */
  dispatch: Generated<number>;
  dispatched_at: GeneratedTimestamp;
};
export type Run = Selectable<RunsTable>;
export type NewRun = Insertable<RunsTable>;
export type RunUpdate = Updateable<RunsTable>;

export type StepStatus = 'ok' | 'warning' | 'error' | 'skipped';

export type RunStepsTable = {
  run_id: string;
  position: number;
  name: string;
  status: StepStatus;
  duration_ms: number;
};
export type RunStep = Pick<Selectable<RunStepsTable>, 'name' | 'status' | 'duration_ms'>;

export type { Json, GeneratedJson, Timestamp, GeneratedTimestamp };
