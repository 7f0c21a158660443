import type { Db } from '../../db/connect.ts';
import { findCheckpoint, findReasoning, findWork } from '../../db/queries/checkpoints.ts';
import { listAttempts } from '../../db/queries/sessions.ts';
import type { Session } from '../../db/schema.ts';
import { redactText, redactValues } from '../checkpoints/redact.ts';
import { continuationPrompt } from './continuation-prompt.ts';
import type { Attempt, ContinuationInput, Restored, SavedWork } from './continuation-prompt.ts';

/**
 * The prompt that a session goes on from: made from its chain, and from nothing else.
 *
 * @throws AppError `unavailable`: it could not be searched for secrets, so it may not leave
 */
export async function continuationOf(db: Db, session: Session): Promise<string> {
  const input = await continuationInput(db, session);
  return await finishedPrompt(await withoutSecrets(input, session), session);
}

/** What prompts are made of comes from agents, repositories and hosts. Reasoning is stored clean. */
export async function withoutSecrets(
  input: ContinuationInput,
  { agent_name: agent }: Session,
): Promise<ContinuationInput> {
  const { checkpoint } = input;
  const rest = { ...input, checkpoint: checkpoint && { ...checkpoint, reasoning: null } };
  const clean = await redactValues(rest, { agent });
  if (!checkpoint || !clean.checkpoint) return { ...clean, checkpoint: null };
  const { reasoning } = checkpoint;
  // Nobody can put a secret into what these are, and a commit is not to be taken for one.
  const { sessionId, commit, head, branch } = checkpoint;
  return {
    ...clean,
    checkpoint: { ...clean.checkpoint, sessionId, commit, head, branch, reasoning },
  };
}

/**
 * The prompt of an input without secrets, searched once more as it is: what counts is what leaves.
 *
 * @throws AppError `unavailable`
 */
export async function finishedPrompt(
  clean: ContinuationInput,
  { agent_name: agent }: Session,
): Promise<string> {
  return (await redactText(continuationPrompt(clean), { agent })).text;
}

/**
 * What the prompt of a session is made of, as it is stored.
 *
 * @param restoredTo where somebody has restored it by hand; where the session is over, the prompt is for who goes
 *   on there
 */
export async function continuationInput(
  db: Db,
  session: Session,
  restoredTo?: string,
): Promise<ContinuationInput> {
  const chain = await listAttempts(db, session.root_id);
  const isNext = restoredTo !== undefined && session.ended_at !== null;
  const number = isNext ? session.attempt + 1 : session.attempt;
  return {
    current: {
      attempt: number,
      objective: session.objective,
      repo: session.repo,
      issueUrl: session.issue_url,
      branch: session.branch,
      worktree: restoredTo ?? session.worktree,
      place: restoredTo === undefined ? session.worktree_kind : 'clone',
    },
    earlier: chain.filter(({ attempt }) => attempt < number).map(toAttempt),
    checkpoint: await savedWork(db, session, chain),
    restored: restoredTo === undefined ? restoredOf(session) : { worktree: restoredTo, ok: true },
  };
}

/**
 * The newest files of the chain with the newest reasoning: a last capture has no reasoning, and an
 * attempt without a worktree no files.
 */
async function savedWork(db: Db, session: Session, chain: Session[]): Promise<SavedWork | null> {
  const id = session.latest_checkpoint_id;
  const newest = id === null ? undefined : await findCheckpoint(db, id);
  const row = newest && ((await findWork(db, newest)) ?? newest);
  const origin = chain.find((attempt) => attempt.id === row?.session_id);
  if (!row || !origin) return null;
  const reasoning =
    newest.reasoning ?? (await findReasoning(db, { rootId: session.root_id, upTo: newest }));
  return {
    number: row.number,
    attempt: origin.attempt,
    sessionId: origin.id,
    createdAt: row.created_at.toISOString(),
    branch: origin.checkpoint_branch,
    commit: row.commit,
    head: row.head,
    headBranch: row.head_branch,
    operation: row.operation,
    trigger: row.trigger,
    durability: row.durability,
    late: row.late,
    reasoning,
    changes: row.changes,
    notCaptured: row.not_captured,
    warnings: row === newest ? row.warnings : [...row.warnings, ...newest.warnings],
  };
}

function restoredOf({ restored, worktree }: Session): Restored {
  if (!restored) return null;
  if (!restored.ok) return { refused: restored.reason };
  // Whoever claimed the session elsewhere does not have the worktree that was made here.
  return worktree === restored.worktree ? { worktree: restored.worktree, ok: true } : null;
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
