import type { Place } from '../contract/place.ts';
import type { Setup } from '../contract/setup.ts';
import type { Takeover } from '../contract/takeover.ts';
import type { ErrorCode } from '../errors.ts';
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
  sessions: SessionsTable;
  repos: ReposTable;
  agent_repos: AgentReposTable;
  issues: IssuesTable;
  issue_claims: IssueClaimsTable;
  sync_pages: SyncPagesTable;
  forge_turns: ForgeTurnsTable;
  former_repo_names: FormerRepoNamesTable;
  checkpoints: CheckpointsTable;
  bundles: BundlesTable;
  bundle_chunks: BundleChunksTable;
  worker_hosts: WorkerHostsTable;
  audit: AuditTable;
  worktree_owners: WorktreeOwnersTable;
};

type Timestamp = ColumnType<Date, Date | string, Date | string>;
type GeneratedTimestamp = ColumnType<Date, Date | string | undefined, Date | string>;
type Json<T> = ColumnType<T, string, string>;
type GeneratedJson<T> = ColumnType<T, string | undefined, string>;

/** How a resumed session gets its agent. Set by operators only: `command` runs on a worker's host. */
export type SpawnerPolicy =
  /** The session waits until an agent claims it. */
  | { type: 'pull' }
  /** A program and its arguments, started on the worktree's host. */
  | { type: 'command'; command: string[] }
  /** A signed POST to an orchestrator. */
  | { type: 'webhook'; url: string };

/** What an operator may set for an agent. Absent fields fall back to the server's settings. */
export type AgentPolicy = {
  /** Seconds between heartbeats, told to the agent as `nextHeartbeatSeconds`. */
  heartbeatSeconds?: number;
  /** Seconds of silence after which a session is taken for dead. */
  leaseSeconds?: number;
  /** Hard limit of a session in seconds. */
  timeoutSeconds?: number;
  /** Seconds that a session has for its first heartbeat. */
  startSeconds?: number;
  /** How often work is resumed before a person must look. */
  resumeBudget?: number;
  /** Seconds before the first resume; each further one waits twice as long. */
  resumeBackoffSeconds?: number;
  /** How resumed sessions get their agent. Default: `pull`. */
  spawner?: SpawnerPolicy;
  /** Where checkpoint branches are pushed: the name of a remote of the worktree, a URL, or `none`. */
  checkpointRemote?: string;
  /** Days that checkpoints of failed and cancelled sessions are kept. */
  checkpointRetentionDays?: number;
  /** Days that the result of finished work is kept that has not landed. */
  keepResultDays?: number;
  /** Folders below which its worktrees lie on workers' hosts. Absent: those that it was the first to use. */
  roots?: string[];
  /** What a new worktree of a resumed session needs before its agent is started. */
  setup?: Setup;
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

/** Which agent's a repository on a host is. */
export type WorktreeOwnersTable = {
  host: string;
  /** Of the repository, free of links. */
  path: string;
  agent_id: string;
  created_at: GeneratedTimestamp;
};

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

export type AuditActor = TokenScope | 'system' | 'stranger';

export type AuditTable = {
  id: string;
  at: GeneratedTimestamp;
  actor: AuditActor;
  token_id: string | null;
  agent_name: string | null;
  address: string | null;
  request_id: string | null;
  action: string;
  target: string;
  details: Json<Record<string, unknown>>;
};
export type AuditRow = Selectable<AuditTable>;

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

/** As `services/checkpoints/reasoning.ts` lets it in, redacted. */
export type Reasoning = {
  objective?: string | undefined;
  approach?: string | undefined;
  decisions?: { what: string; why?: string | undefined }[] | undefined;
  done?: string[] | undefined;
  remaining?: string[] | undefined;
  nextStep?: string | undefined;
  openQuestions?: string[] | undefined;
  pendingToolCalls?:
    { tool: string; input?: unknown; startedAt?: string | undefined }[] | undefined;
  transcriptTail?: string | undefined;
};

export type DiffStat = {
  files: { path: string; insertions: number; deletions: number; binary: boolean }[];
  insertions: number;
  deletions: number;
};

/** What is uncommitted: HEAD to index, and index to worktree with untracked files. */
export type ChangeSummary = { staged: DiffStat; unstaged: DiffStat };

/** What a checkpoint is made of, beside the worktree. The reasoning is redacted. */
export type CheckpointInput = {
  trigger: string;
  turn?: number;
  reasoning?: Reasoning;
  /** The files are as the session's last checkpoint has them: its sender captures them itself. */
  capture?: false;
  /** Set where the caller sent a bundle: nothing is captured then. */
  upload?: BundleUpload;
};

export type BundleUpload = {
  bundleId: string;
  /** The checkpoint's commit, which the bundle's only ref points to. */
  commit: string;
  /** Where the commits that the bundle builds on can be fetched from. */
  baseUrl?: string;
  /** What the capture could not take, as the caller found it. */
  notCaptured?: NotCaptured[];
  warnings?: string[];
  /** The run that was given up before this one; it recorded what was said with the bundle. */
  triedBy?: string;
};

export type NotCaptured = { path: string; reason: string };

/** What a run was asked to do; its kind tells which. */
export type RunInput = HeartbeatInput & Partial<CheckpointInput>;

export type RunsTable = {
  id: string;
  agent_id: string;
  agent_name: string;
  kind: RunKind;
  session_id: string | null;
  status: ColumnType<RunStatus, RunStatus | undefined, RunStatus>;
  input: GeneratedJson<RunInput>;
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
  /** How many workers died, or were cut off, while they had the run. */
  deaths: Generated<number>;
  claimed_by: string | null;
  claim_expires_at: Timestamp | null;
  /** How often the run was handed to the queue; part of the job's id. */
  dispatch: Generated<number>;
  dispatched_at: GeneratedTimestamp;
  /** The host that has what the run works on; null: any will do. */
  host: string | null;
  /** The stable code of the failure that ended the run. */
  error_code: ColumnType<ErrorCode | null, ErrorCode | null | undefined, ErrorCode | null>;
};
export type Run = Selectable<RunsTable>;
export type NewRun = Insertable<RunsTable>;
export type RunUpdate = Updateable<RunsTable>;

export type LiveStatus = 'pending' | 'starting' | 'running';
export type EndStatus = 'completed' | 'failed' | 'cancelled' | 'timed_out' | 'interrupted';
export type SessionStatus = LiveStatus | EndStatus;

export type SessionsTable = {
  id: string;
  agent_id: string;
  agent_name: string;
  /** The first session of the chain of attempts. */
  root_id: string;
  resumed_from: string | null;
  attempt: Generated<number>;
  status: SessionStatus;
  objective: string;
  /** `owner/name` */
  repo: string | null;
  issue_url: string | null;
  /** One name for the issue, however its address is written. */
  issue_key: string | null;
  /** The folder that the agent works in, on `host`. */
  worktree: string | null;
  /** What it is to the worktree of the attempt before, as far as who works there has said. */
  worktree_kind: Place | null;
  host: string | null;
  branch: string | null;
  checkpoint_branch: string;
  latest_checkpoint_id: string | null;
  turn: number | null;
  note: string | null;
  summary: string | null;
  lease_seconds: number;
  timeout_seconds: number | null;
  start_seconds: number;
  lease_expires_at: Timestamp | null;
  deadline_at: Timestamp | null;
  start_deadline_at: Timestamp | null;
  /** The earliest of the three. */
  due_at: ColumnType<Date | null, never, never>;
  /** Never later than `due_at`; when the timeout watch looks at the session next. Kept by a trigger. */
  watch_at: ColumnType<Date | null, never, Date | null>;
  /** From when on a successor is wanted; null: none is. */
  resume_at: Timestamp | null;
  /**
   * Of an ended session: set where the supervisor that ended it goes on itself. Of the successor: until then
   * nobody else gets it.
   */
  reserved_until: Timestamp | null;
  directive: ColumnType<
    Omit<Directive, 'sessionId'> | null,
    string | null | undefined,
    string | null
  >;
  needs_attention: Generated<boolean>;
  end_reason: string | null;
  created_at: GeneratedTimestamp;
  started_at: Timestamp | null;
  ended_at: Timestamp | null;
  /** Where our branch was left, in the worktree's repository; null: there is none. */
  local_commit: string | null;
  /** The same for the remote that it was pushed to. */
  remote_url: string | null;
  remote_commit: string | null;
  /** From when on the checkpoints of this ended session are to be pruned; null: not, or done. */
  prune_at: Timestamp | null;
  /** How its agent was started. What waits to be started goes by the agent's policy of the day. */
  spawner: Generated<SpawnerPolicy['type']>;
  /** What became of the work that this session goes on from. */
  restored: ColumnType<RestoreOutcome | null, string | null | undefined, string | null>;
  /** When a pending session can be claimed. */
  ready_at: Timestamp | null;
  /** The run that started the agent of this session. */
  spawn_run_id: string | null;
  /** How often a run was made to bring this session to life. */
  spawn_tries: Generated<number>;
  /** When that is tried again if the session is not ready by then. */
  spawn_at: Timestamp | null;
  spawn_error: string | null;
  /** Resumes that were granted to the chain beyond the budget of the policy. */
  extra_budget: Generated<number>;
  /** The checkpoint that a person chose for this session to go on from; null: the newest. */
  from_checkpoint_id: string | null;
  /** What a pending session waits for that only the worker which tried to start it knows. */
  waiting_for: string | null;
  /** How a worker goes on where its supervisor dies; null: it does not. */
  takeover: ColumnType<Takeover | null, string | null | undefined, string | null>;
  /** Of a completed session: until when its result is kept that has not landed; null: it is not, or no more. */
  result_until: Timestamp | null;
  /** It has landed since its last checkpoint was made. */
  result_landed: Generated<boolean>;
};

/** Whether the work of the last attempt is in the new worktree; if not, why. */
export type RestoreOutcome =
  | { ok: true; worktree: string; checkpointId: string; warnings: string[] }
  | { ok: false; reason: string };
export type Session = Selectable<SessionsTable>;

export type Durability = 'local' | 'stored' | 'pushed';

export type CheckpointsTable = {
  id: string;
  session_id: string;
  /** 1..n in its session. */
  number: number;
  run_id: string;
  trigger: string;
  turn: number | null;
  /** Commit that HEAD stood at; null: no commits yet, or no worktree was captured. */
  head: string | null;
  head_branch: string | null;
  /** The checkpoint's commit; null: the reasoning alone was saved. */
  commit: string | null;
  /** The fingerprint that a restore is checked against. */
  tree: string | null;
  /** What was under way: a merge, a rebase. */
  operation: string | null;
  /** A remote was known to have HEAD; null: not told. */
  on_remote: boolean | null;
  /** Where the commits that the bundle builds on can be fetched from. */
  base_url: string | null;
  durability: Durability;
  files_changed: number | null;
  changes: ColumnType<ChangeSummary | null, string | null, string | null>;
  /** The patch from HEAD to the worktree, cut off where it is long. */
  diff: Buffer | null;
  reasoning: ColumnType<Reasoning | null, string | null, string | null>;
  not_captured: Json<NotCaptured[]>;
  warnings: Json<string[]>;
  bundle_id: string | null;
  /** Came when a successor was at work, or what is newer was recorded: kept beside it, not gone on from. */
  late: Generated<boolean>;
  created_at: GeneratedTimestamp;
  /** When its branch and bundle were removed; the reasoning stays. */
  pruned_at: Timestamp | null;
};
export type Checkpoint = Selectable<CheckpointsTable>;

export type BundlesTable = {
  id: string;
  session_id: string;
  bytes: ColumnType<number, number, number>;
  /** Commits that the reader must have. */
  prerequisites: Json<string[]>;
  created_at: GeneratedTimestamp;
};
export type BundleChunksTable = { bundle_id: string; position: number; data: Buffer };

export type WorkerHostsTable = { host: string; seen_at: GeneratedTimestamp };

export type StepStatus = 'ok' | 'warning' | 'error' | 'skipped';

export type RunStepsTable = {
  run_id: string;
  position: number;
  name: string;
  status: StepStatus;
  duration_ms: number;
};
export type RunStep = Pick<Selectable<RunStepsTable>, 'name' | 'status' | 'duration_ms'>;

export type ReposTable = {
  id: string;
  forge: ColumnType<'github', 'github' | undefined, 'github'>;
  owner: string;
  name: string;
  /** The forge's own id. Another one under the same name is another repository. */
  upstream_id: string | null;
  /** Everything that changed before this time of the forge's clock is stored. */
  sync_cursor: Timestamp | null;
  /** When the last whole sync began. What was not changed by us since is as it was upstream then. */
  pass_started_at: Timestamp | null;
  synced_at: Timestamp | null;
  /** How far a listing came that was cut off: its last page, and the clocks at its first. */
  pass_at: string | null;
  pass_full: boolean | null;
  pass_cursor: Timestamp | null;
  pass_began_at: Timestamp | null;
  last_full_sync_at: Timestamp | null;
  lease_holder: string | null;
  /** Raised by every lease: only the holder of the newest epoch may write. */
  lease_epoch: Generated<number>;
  lease_until: Timestamp | null;
  /** Why the last sync failed; null once one succeeded. The text is for the operator. */
  failure_kind: string | null;
  failure_text: string | null;
  failure_count: Generated<number>;
  failed_at: Timestamp | null;
  next_attempt_at: Timestamp | null;
  /** The same for writing labels, which needs other permissions. */
  label_failure_kind: string | null;
  label_failure_text: string | null;
  label_failure_count: Generated<number>;
  label_next_attempt_at: Timestamp | null;
  created_at: GeneratedTimestamp;
  updated_at: GeneratedTimestamp;
};
export type Repo = Selectable<ReposTable>;

/** In lower case. */
export type FormerRepoNamesTable = {
  forge: 'github';
  owner: string;
  name: string;
  repo_id: string;
};

/** What a whole listing that is under way has shown, page by page. */
export type SyncPagesTable = { repo_id: string; at: string; numbers: number[] };

/** When the next write may be made with these credentials, which a hash stands for. */
export type ForgeTurnsTable = { credential: string; next_write_at: Timestamp };

export type AgentReposTable = { agent_id: string; repo_id: string };

export type IssueState = 'open' | 'closed';

export type IssuesTable = {
  id: string;
  repo_id: string;
  number: number;
  /** The page that people open. */
  url: string;
  title: string;
  state: IssueState;
  labels: string[];
  /** The labels in lower case, as forges compare them; sorted. */
  label_keys: string[];
  /** The forge's clock; never goes back. */
  upstream_updated_at: Timestamp;
  closed_at: Timestamp | null;
  /** When a change upstream was last seen; our clock. */
  changed_at: GeneratedTimestamp;
  /** When we last wrote labels upstream and noted the outcome here. */
  labels_written_at: Timestamp | null;
  /** Someone is writing labels until then. */
  label_lease_until: Timestamp | null;
  /** Deleted or transferred upstream, noticed then. */
  vanished_at: Timestamp | null;
  created_at: GeneratedTimestamp;
};
export type Issue = Selectable<IssuesTable>;

/** Made by a session of ours, or found upstream in the form of labels. */
export type ClaimSource = 'session' | 'label';

export type IssueClaimsTable = {
  id: string;
  issue_id: string;
  agent_id: string;
  session_id: string | null;
  source: ClaimSource;
  claimed_at: GeneratedTimestamp;
  released_at: Timestamp | null;
  release_reason: string | null;
  /** When the labels upstream followed the release; until then a heartbeat looks after them. */
  labels_settled_at: Timestamp | null;
  /** From when on the labels are to be written; null: nothing is known to be written. */
  labels_due_at: Timestamp | null;
  /** How often writing them failed in a row, and why the last time. */
  labels_tries: Generated<number>;
  labels_failure: string | null;
};
export type IssueClaim = Selectable<IssueClaimsTable>;

export type { Json, GeneratedJson, Timestamp, GeneratedTimestamp };
