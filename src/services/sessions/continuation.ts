import type { Db } from '../../db/connect.ts';
import { listAttempts } from '../../db/queries/sessions.ts';
import type { Session } from '../../db/schema.ts';
import { continuationPrompt } from './continuation-prompt.ts';
import type { Attempt, ContinuationInput } from './continuation-prompt.ts';

/** The prompt that a session goes on from: made from its chain, and from nothing else. */
export async function continuationOf(db: Db, session: Session): Promise<string> {
  return continuationPrompt(await continuationInput(db, session));
}

/** What the prompt of a session is made of. */
export async function continuationInput(db: Db, session: Session): Promise<ContinuationInput> {
  const chain = await listAttempts(db, session.root_id);
  return {
    current: {
      attempt: session.attempt,
      objective: session.objective,
      repo: session.repo,
      issueUrl: session.issue_url,
      branch: session.branch,
      worktree: session.worktree,
    },
    earlier: chain.filter(({ attempt }) => attempt < session.attempt).map(toAttempt),
    checkpoint: null,
    restored: null,
  };
}

function toAttempt(session: Session): Attempt {
  return {
    attempt: session.attempt,
    status: session.status,
    endReason: session.end_reason,
    summary: session.summary,
    note: session.note,
    turn: session.turn,
    worktree: session.worktree,
    startedAt: session.started_at?.toISOString() ?? null,
    endedAt: session.ended_at?.toISOString() ?? null,
  };
}
