import type { RunWithSteps } from '../../db/queries/runs.ts';
import type {
  Directive,
  Run,
  RunKind,
  RunOutcome,
  RunStatus,
  StepStatus,
} from '../../db/schema.ts';

/** A run as the API shows it. Times are ISO 8601, UTC. */
export type RunView = {
  id: string;
  agentName: string;
  kind: RunKind;
  sessionId: string | null;
  status: RunStatus;
  summary: string;
  warnings: string[];
  errors: string[];
  touchedIssueUrls: string[];
  directives: Directive[];
  nextHeartbeatSeconds: number | null;
  steps: { name: string; status: StepStatus; durationMs: number }[];
  queuedAt: string;
  startedAt: string | null;
  finishedAt: string | null;
};

export function toRunView(run: RunWithSteps): RunView {
  return {
    id: run.id,
    agentName: run.agent_name,
    kind: run.kind,
    sessionId: run.session_id,
    status: run.status,
    summary: run.summary,
    warnings: run.warnings,
    errors: run.errors,
    touchedIssueUrls: run.touched_issue_urls,
    directives: run.directives,
    nextHeartbeatSeconds: run.next_heartbeat_seconds,
    steps: run.steps.map((step) => ({
      name: step.name,
      status: step.status,
      durationMs: step.duration_ms,
    })),
    queuedAt: run.queued_at.toISOString(),
    startedAt: run.started_at?.toISOString() ?? null,
    finishedAt: run.finished_at?.toISOString() ?? null,
  };
}

/** What a heartbeat answers. Every field but the names is that of the run. */
export type HeartbeatView = {
  status: RunOutcome;
  agentName: string;
  startedAt: string;
  finishedAt: string;
  summary: string;
  warnings: string[];
  errors: string[];
  touchedIssueUrls: string[];
  runId: string;
  directives: Directive[];
  nextHeartbeatSeconds: number;
};

/** The heartbeat's answer, made from its finished run and nothing else. */
export function toHeartbeatView(run: Run, fallbackSeconds: number): HeartbeatView {
  if (run.status === 'queued' || run.status === 'running' || !run.finished_at) {
    throw new Error(`run ${run.id} is not finished`);
  }
  return {
    status: run.status,
    agentName: run.agent_name,
    // A run that no worker ever finished has no start of its own.
    startedAt: (run.started_at ?? run.queued_at).toISOString(),
    finishedAt: run.finished_at.toISOString(),
    summary: run.summary,
    warnings: run.warnings,
    errors: run.errors,
    touchedIssueUrls: run.touched_issue_urls,
    runId: run.id,
    directives: run.directives,
    nextHeartbeatSeconds: run.next_heartbeat_seconds ?? fallbackSeconds,
  };
}
