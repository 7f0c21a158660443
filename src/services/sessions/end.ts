import type { Db } from '../../db/connect.ts';
import type { Dispatch } from '../../db/queries/run-claims.ts';
import { completeLate } from '../../db/queries/session-late.ts';
import { schedulePrune } from '../../db/queries/session-prune.ts';
import { keepResult } from '../../db/queries/session-results.ts';
import { insertSessionRuns } from '../../db/queries/session-runs.ts';
import { beatSession, endSession, findSession, SIGN_OF_LIFE } from '../../db/queries/sessions.ts';
import type { Session } from '../../db/schema.ts';
import { type Actor, noteAct, SYSTEM } from '../audit/note.ts';
import { redactSaid } from '../checkpoints/redact.ts';
import { refusal } from './refusal.ts';
import { sessionRun } from './run.ts';
import type { SessionSettings } from './settings.ts';

export type Outcome = 'completed' | 'failed' | 'cancelled';

/**
 * Ends a session by its own word: nothing is resumed. Its checkpoints, and those of the attempts
 * before it, are pruned: after success at once, else after their retention. One that was given up, and has completed
 * its work all the same, is completed as long as nobody has gone on with it.
 *
 * @throws AppError `session_ended`, `session_superseded` or `not_found`
 */
export async function finishSession(
  db: Db,
  settings: SessionSettings,
  id: string,
  request: { outcome: Outcome; summary?: string | undefined },
): Promise<Session> {
  const summary = await redactOf(db, id, request.summary);
  const ended = await db.transaction().execute(async (trx) => {
    const session =
      (await endSession(trx, {
        id,
        status: request.outcome,
        reason: request.outcome,
        summary: summary ?? null,
        resume: false,
      })) ?? (request.outcome === 'completed' ? await completeLate(trx, id) : undefined);
    if (session) {
      await keepResult(trx, { id: session.id, days: settings.keepResultDays });
      await schedulePrune(trx, {
        rootId: session.root_id,
        succeeded: session.status === 'completed',
        retentionDays: settings.checkpointRetentionDays,
      });
    }
    return session;
  });
  return ended ?? (await explainOrRepeat(db, id, request.outcome));
}

/**
 * Ends a session from outside or on a signal: what is in its worktree is saved, and the work is
 * resumed as the policy allows. Returns the run that saves it too, which is to be handed to the queue.
 *
 * @param request.goesOn a supervisor that is alive goes on itself: its successor is kept for its claim
 */
export async function interruptSession(
  db: Db,
  id: string,
  request: { reason: string; goesOn?: boolean | undefined },
  actor: Actor = SYSTEM,
): Promise<{ session: Session; runs: Dispatch[] }> {
  const why = await redactOf(db, id, request.reason);
  const goesOn = request.goesOn ?? false;
  const interrupted = await db.transaction().execute(async (trx) => {
    const session = await endSession(trx, {
      id,
      status: 'interrupted',
      reason: why ?? '',
      summary: null,
      resume: true,
      goesOn,
    });
    if (!session) return undefined;
    // What a session does itself is recorded by the session.
    if (actor.scope === 'operator' || actor.scope === 'agent') {
      await noteAct(trx, actor, {
        action: 'session.interrupt',
        target: id,
        details: { reason: why },
      });
    }
    // Who goes on itself has saved all there is, and no worker is to look into a worktree that is worked in.
    if (session.worktree === null || goesOn) return { session, runs: [] };
    return { session, runs: await insertSessionRuns(trx, [sessionRun('checkpoint', id)]) };
  });
  if (interrupted) return interrupted;
  throw await refusal(db, id);
}

/** Renews the lease first: the search may have to wait for its turn, and the session must not time out then. */
async function redactOf(db: Db, id: string, text: string | undefined) {
  const session = (await beatSession(db, id, SIGN_OF_LIFE)) ?? (await findSession(db, id));
  // Of one that has ended, nothing is written.
  if (!session || session.ended_at !== null) return undefined;
  return await redactSaid(text, { agent: session.agent_name });
}

/** A finish whose answer was lost is sent again: the same outcome is the same answer. */
async function explainOrRepeat(db: Db, id: string, outcome: Outcome): Promise<Session> {
  const session = await findSession(db, id);
  if (session?.status === outcome) return session;
  throw await refusal(db, id);
}
