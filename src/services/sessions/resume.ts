import type { Db } from '../../db/connect.ts';
import type { Dispatch } from '../../db/queries/run-claims.ts';
import { claimIssueForSession } from '../../db/queries/session-claims.ts';
import { insertSessionRuns } from '../../db/queries/session-runs.ts';
import { findNumbered, insertResumed } from '../../db/queries/session-verbs.ts';
import { findLiveSessionOfIssue, findSession } from '../../db/queries/sessions.ts';
import type { Session } from '../../db/schema.ts';
import { AppError } from '../../errors.ts';
import { type Actor, noteAct } from '../audit/note.ts';
import { newId } from '../ids.ts';
import { notOver, superseded } from './refusal.ts';
import { sessionRun } from './run.ts';
import type { SessionSettings } from './settings.ts';

export type ResumeSession = {
  /** The number of the checkpoint to go on from; undefined: the newest. */
  checkpoint?: number | undefined;
  /** How often the work may be resumed by itself after this; undefined: as often as the policy says. */
  extraBudget?: number | undefined;
};

/**
 * Makes the next attempt of a session that has ended, whatever its budget and its back-off: a person has
 * decided. It is pending, and gets its agent as the policy says. Returns the run that prepares it too, which is
 * to be handed to the queue.
 *
 * @throws AppError `conflict` (it lives, or was completed), `session_superseded`, `issue_claimed` or `invalid`
 *   (there is no such checkpoint)
 */
export async function resumeSession(
  db: Db,
  settings: SessionSettings,
  session: Session,
  request: ResumeSession,
  actor: Actor,
): Promise<{ session: Session; runs: Dispatch[] }> {
  const resumed = await db.transaction().execute(async (trx) => {
    const next = await insertResumed(trx, {
      sessionId: session.id,
      id: newId(),
      checkpointId: (await chosen(trx, session, request.checkpoint)) ?? null,
      budget: request.extraBudget ?? null,
      limits: settings,
    });
    // What was changed on the way is undone with the transaction.
    if (!next) throw await whyNot(trx, session.id);
    if (next.issue_url !== null && !(await claimIssueForSession(trx, newId(), next))) {
      throw claimed(next.issue_url, 'another agent');
    }
    await noteAct(trx, actor, {
      action: 'session.resume',
      target: session.id,
      details: { ...request, next: next.id },
    });
    return { session: next, runs: await insertSessionRuns(trx, [sessionRun('resume', next.id)]) };
  });
  return resumed;
}

async function chosen(
  trx: Parameters<typeof findNumbered>[0],
  session: Session,
  number: number | undefined,
): Promise<string | undefined> {
  if (number === undefined) return undefined;
  const id = await findNumbered(trx, session.id, number);
  if (id !== undefined) return id;
  const message = `is no checkpoint of session ${session.id}: GET /api/sessions/${session.id}/checkpoints lists them`;
  throw new AppError('invalid', `checkpoint: ${message}`, {
    errors: [{ path: 'checkpoint', message }],
  });
}

async function whyNot(db: Db, id: string): Promise<AppError> {
  const session = await findSession(db, id);
  if (!session) return new AppError('not_found', `There is no session ${id}.`);
  const later = await superseded(db, session);
  if (later) return later;
  if (session.ended_at === null) return notOver(session);
  if (session.status === 'completed') {
    return new AppError(
      'conflict',
      'This session was completed, so there is nothing to resume. Its result: "defib show" and "defib bring"; a new piece of work is a new session.',
    );
  }
  const holder =
    session.issue_key === null ? undefined : await findLiveSessionOfIssue(db, session.issue_key);
  if (holder) return claimed(session.issue_url ?? '', `session ${holder.id}`);
  return new AppError('conflict', 'The session was changed meanwhile. Look at it, and ask again.');
}

const claimed = (issueUrl: string, holder: string): AppError =>
  new AppError(
    'issue_claimed',
    `${issueUrl} is being worked on by ${holder}. Cancel that first (POST /api/sessions/{id}/cancel), or wait until it ends.`,
  );
