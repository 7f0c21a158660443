import type { Db } from '../../db/connect.ts';
import { dismissChain } from '../../db/queries/session-verbs.ts';
import { findSession, listAttempts } from '../../db/queries/sessions.ts';
import type { Session } from '../../db/schema.ts';
import { AppError } from '../../errors.ts';
import { type Actor, noteAct } from '../audit/note.ts';
import { notOver } from './refusal.ts';

/**
 * Says that nobody need look at the work of this session's chain any more: takes its flags away, and keeps its
 * result no longer. Twice is harmless.
 *
 * @throws AppError `conflict`: it is still worked on, or waits
 */
export async function dismissSession(
  db: Db,
  session: Session,
  request: { brought?: boolean | undefined },
  actor: Actor,
): Promise<Session> {
  const dismissed = await db.transaction().execute(async (trx) => {
    const done = await dismissChain(trx, session);
    if (done) {
      const { id: target } = session;
      await noteAct(trx, actor, { action: 'session.dismiss', target, details: { ...request } });
    }
    return done;
  });
  if (dismissed) return dismissed;
  const attempts = await listAttempts(db, session.root_id);
  const last = attempts.at(-1) ?? (await findSession(db, session.id));
  throw last ? notOver(last) : new AppError('not_found', `There is no session ${session.id}.`);
}
