import type { Db } from '../../db/connect.ts';
import { findSession, findSuccessor } from '../../db/queries/sessions.ts';
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
