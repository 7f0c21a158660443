import type { Db } from '../../db/connect.ts';
import { findLastAttempt, findSession, findSuccessor } from '../../db/queries/sessions.ts';
import type { Session } from '../../db/schema.ts';
import { AppError } from '../../errors.ts';

/** Why nothing could be done for a session that is not live: it ended, was taken over, or never was. */
export async function refusal(db: Db, id: string): Promise<AppError> {
  const session = await findSession(db, id);
  if (!session) return new AppError('not_found', `There is no session ${id}.`);
  const successorId = await findSuccessor(db, id);
  if (successorId !== undefined) {
    return new AppError(
      'session_superseded',
      `This session ended (${session.end_reason ?? session.status}) and ${successorId} has taken over. Stop now: what you write from here on is not kept.`,
      { successorId },
    );
  }
  return new AppError(
    'session_ended',
    `This session ended (${session.end_reason ?? session.status}). Stop now; a new one is started with POST /api/agents/${session.agent_name}/sessions.`,
  );
}

/** Undefined: no attempt came after the session. Else which is the newest, and what moves that one on. */
export async function superseded(db: Db, session: Session): Promise<AppError | undefined> {
  const last = await findLastAttempt(db, session.root_id);
  if (!last || last.attempt <= session.attempt) return undefined;
  return new AppError(
    'session_superseded',
    `Attempt ${last.attempt}, session ${last.id}, has taken over from this one. ${wayOn(last)}`,
    { successorId: last.id },
  );
}

/** For verbs that need a session to be over: what ends it first. */
export const notOver = (session: Session): AppError =>
  new AppError(
    'conflict',
    session.ended_at === null
      ? `Session ${session.id} is ${session.status}. ${wayOn(session)}`
      : `Session ${session.id} has ended (${session.end_reason ?? session.status}), and its next attempt is about to be made. ${wayOn(session)}`,
  );

/** The verbs that move a session on, by where it stands: as commands, and as calls. */
export function wayOn(session: Session): string {
  const { id, status, agent_name: agent } = session;
  const call = (verb: string) => `POST /api/sessions/${id}/${verb}`;
  const cancel = `"defib cancel ${id}" (${call('cancel')})`;
  const retry = `"defib retry ${id}" (${call('resume')})`;
  if (status === 'completed') return 'It was completed: nothing is left to do but its result.';
  if (status === 'pending') {
    return `It waits for its agent: "defib resume ${id}" (POST /api/agents/${agent}/claim) takes it up, ${cancel} ends it.`;
  }
  if (session.ended_at === null) {
    return `It is at work: "defib stop ${id}" (${call('interrupt')}) saves and ends it, to be resumed; ${cancel} ends it for good.`;
  }
  if (session.resume_at !== null) {
    return `It is resumed by itself: ${retry} does so now, ${cancel} has it not resumed.`;
  }
  return `It has ended: ${retry} goes on with it, "defib dismiss ${id}" (${call('dismiss')}) takes it off the list.`;
}
