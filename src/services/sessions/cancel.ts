import type { Db } from '../../db/connect.ts';
import type { Dispatch } from '../../db/queries/run-claims.ts';
import { schedulePrune } from '../../db/queries/session-prune.ts';
import { insertSessionRuns } from '../../db/queries/session-runs.ts';
import { cancelSession as cancelRow } from '../../db/queries/session-verbs.ts';
import { findSession } from '../../db/queries/sessions.ts';
import type { Session } from '../../db/schema.ts';
import { AppError } from '../../errors.ts';
import { type Actor, noteAct } from '../audit/note.ts';
import { redactSaid } from '../checkpoints/redact.ts';
import { CANCELLED_FROM_OUTSIDE } from './cause.ts';
import { superseded } from './refusal.ts';
import { sessionRun } from './run.ts';
import type { SessionSettings } from './settings.ts';

/**
 * Ends a session that lives or waits, for good: no attempt comes after it unless somebody resumes it. What is in
 * its worktree is saved first where a process was at work. Twice is harmless. Returns the run that saves it, which
 * is to be handed to the queue.
 *
 * @throws AppError `session_ended` or `session_superseded`
 */
export async function cancelSession(
  db: Db,
  settings: SessionSettings,
  session: Session,
  request: { reason?: string | undefined },
  actor: Actor,
): Promise<{ session: Session; runs: Dispatch[] }> {
  const { id } = session;
  const reason = (await redactSaid(request.reason, { agent: session.agent_name })) ?? null;
  const done = await db.transaction().execute(async (trx) => {
    const cancelled = await cancelRow(trx, {
      id,
      reason: CANCELLED_FROM_OUTSIDE,
      summary: reason,
    });
    if (!cancelled) return undefined;
    await schedulePrune(trx, {
      rootId: cancelled.root_id,
      succeeded: false,
      retentionDays: settings.checkpointRetentionDays,
    });
    await noteAct(trx, actor, { action: 'session.cancel', target: id, details: { reason } });
    const saves = cancelled.lived && cancelled.worktree !== null;
    const runs = saves ? await insertSessionRuns(trx, [sessionRun('checkpoint', id)]) : [];
    return { session: cancelled, runs };
  });
  return done ?? { session: await repeated(db, id), runs: [] };
}

/** A cancel whose answer was lost is sent again. */
async function repeated(db: Db, id: string): Promise<Session> {
  const session = await findSession(db, id);
  if (!session) throw new AppError('not_found', `There is no session ${id}.`);
  const later = await superseded(db, session);
  if (later) throw later;
  if (session.status === 'cancelled') return session;
  throw new AppError(
    'session_ended',
    session.needs_attention
      ? `This session has ended (${session.end_reason ?? session.status}) and waits for a person: "defib dismiss ${id}" (POST /api/sessions/${id}/dismiss) takes it off the list, "defib retry ${id}" (…/resume) goes on with it.`
      : `This session has ended (${session.end_reason ?? session.status}), and nothing of it waits.`,
  );
}
