import type { Result } from '../../contract/result.ts';
import type { Cause } from '../../contract/cause.ts';
import type { Wait } from '../../db/queries/session-waits.ts';
import type { Session, SessionStatus } from '../../db/schema.ts';
import { causeOf } from './cause.ts';

/** A session as the API shows it. Times are ISO 8601, UTC. */
export type SessionView = {
  id: string;
  agentName: string;
  status: SessionStatus;
  attempt: number;
  rootId: string;
  resumedFrom: string | null;
  objective: string;
  repo: string | null;
  issueUrl: string | null;
  worktree: string | null;
  host: string | null;
  branch: string | null;
  turn: number | null;
  leaseExpiresAt: string | null;
  deadlineAt: string | null;
  checkpointBranch: string;
  latestCheckpointId: string | null;
  needsAttention: boolean;
  endReason: string | null;
  cause: Cause | null;
  /** What it waits for that is pending, or has ended and is to be resumed; and until when, where that is known. */
  waitingFor: string | null;
  waitingUntil: string | null;
  /** Of a completed session. */
  result: Result | null;
  summary: string | null;
  startedAt: string | null;
  endedAt: string | null;
};

const iso = (date: Date | null): string | null => date?.toISOString() ?? null;

/** What is not in the session's row; null where nothing was looked up. */
export type Beside = { wait?: Wait | undefined; result?: Result | undefined };

export function toSessionView(session: Session, { wait, result }: Beside = {}): SessionView {
  return {
    id: session.id,
    agentName: session.agent_name,
    status: session.status,
    attempt: session.attempt,
    rootId: session.root_id,
    resumedFrom: session.resumed_from,
    objective: session.objective,
    repo: session.repo,
    issueUrl: session.issue_url,
    worktree: session.worktree,
    host: session.host,
    branch: session.branch,
    turn: session.turn,
    // Until the first heartbeat the session has its start deadline for a lease.
    leaseExpiresAt: iso(session.lease_expires_at ?? session.start_deadline_at),
    deadlineAt: iso(session.deadline_at),
    checkpointBranch: session.checkpoint_branch,
    latestCheckpointId: session.latest_checkpoint_id,
    needsAttention: session.needs_attention,
    endReason: session.end_reason,
    cause: causeOf(session),
    waitingFor: wait?.for ?? null,
    waitingUntil: iso(wait?.until ?? null),
    result: result ?? null,
    summary: session.summary,
    startedAt: iso(session.started_at),
    endedAt: iso(session.ended_at),
  };
}
