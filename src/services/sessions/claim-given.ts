import type { Db } from '../../db/connect.ts';
import { findSession, findSuccessor } from '../../db/queries/sessions.ts';
import { successorOutlook } from '../../db/queries/session-given.ts';
import type { Session } from '../../db/schema.ts';
import { AppError } from '../../errors.ts';
import type { SessionSettings } from './settings.ts';

/** Which session is asked for: a waiting one, or that which goes on from an ended one. */
export type Given = { agentName: string } & (
  { sessionId: string; resumedFrom?: undefined } | { resumedFrom: string; sessionId?: undefined }
);

/** How soon to ask again for what is only a moment away. */
const SOON_SECONDS = 1;

/**
 * Why a given session could not be had just now. Returns after how many seconds to ask again.
 *
 * @throws AppError when it cannot be had at all any more: `not_found`, `session_superseded` (somebody else has
 *   it), `session_ended`, `issue_claimed`, or `conflict` with what has to be done first
 */
export async function waitForGiven(
  db: Db,
  settings: SessionSettings,
  given: Given,
): Promise<number> {
  const asked = given.sessionId ?? given.resumedFrom;
  const session = await findSession(db, asked);
  if (session?.agent_name !== given.agentName) {
    throw new AppError('not_found', `The agent "${given.agentName}" has no session ${asked}.`);
  }
  if (given.sessionId !== undefined) return await waitForWaiting(db, settings, session);
  const successorId = await findSuccessor(db, session.id);
  const successor = successorId === undefined ? undefined : await findSession(db, successorId);
  if (successor) return await waitForWaiting(db, settings, successor);
  return await waitForSuccessor(db, settings, session);
}

/** Of a session that is there: it waits for something, or is somebody else's. */
async function waitForWaiting(db: Db, settings: SessionSettings, session: Session) {
  const { id, status, reserved_until: reserved } = session;
  if (status === 'pending') {
    const outlook = await successorOutlook(db, id, settings);
    if (outlook?.paused) throw paused(session);
    const isReserved = reserved !== null && reserved.getTime() > Date.now();
    const spawner = outlook?.spawner ?? 'pull';
    if (spawner === 'pull' || isReserved) return SOON_SECONDS;
    throw taken(session, `is started by the agent's policy.spawner (${spawner})`);
  }
  if (session.ended_at === null) throw taken(session, 'was taken up already');
  const heir = await findSuccessor(db, id);
  if (heir !== undefined) {
    throw new AppError(
      'session_superseded',
      `Session ${id} has ended and ${heir} goes on from it. Ask for that one.`,
      { successorId: heir },
    );
  }
  throw ended(session);
}

const taken = ({ id }: Session, how: string): AppError =>
  new AppError(
    'session_superseded',
    `Session ${id} ${how}. Leave it alone: two must not do the same work.`,
    {
      successorId: id,
    },
  );

const paused = ({ agent_name: name }: Session): AppError =>
  new AppError(
    'conflict',
    `The agent "${name}" is paused, so its work waits. An operator lets it go on with PUT /api/agents/${name} {"paused": false}.`,
  );

const ended = ({ id, status, end_reason: reason }: Session): AppError =>
  new AppError(
    'session_ended',
    `Session ${id} has ended as ${status} (${reason ?? 'no reason was given'}), and nothing goes on from it. Start a new session.`,
  );

/** Of an ended session without a successor: it will have one, or something is in the way. */
async function waitForSuccessor(db: Db, settings: SessionSettings, session: Session) {
  const { id, attempt } = session;
  if (session.ended_at === null) {
    throw new AppError(
      'conflict',
      `Session ${id} is ${session.status}. What goes on from it can be claimed once it has ended.`,
    );
  }
  const outlook = await successorOutlook(db, id, settings);
  if (session.needs_attention || (outlook?.wanted && !outlook.hasBudget)) {
    throw new AppError(
      'conflict',
      `The resume budget is spent: attempt ${attempt} was the last one. Look at what was saved with "defib show ${id}", and go on with "defib resume ${id}" (POST /api/sessions/${id}/resume), or raise the agent's policy.resumeBudget.`,
    );
  }
  if (!outlook?.wanted) throw ended(session);
  if (outlook.paused) throw paused(session);
  if (outlook.otherId !== null) {
    throw new AppError(
      'issue_claimed',
      `${session.issue_url} is being worked on by session ${outlook.otherId} now. This work waits until that ends.`,
    );
  }
  return Math.max(SOON_SECONDS, Math.ceil(outlook.waitSeconds));
}
