import type { Db } from '../../db/connect.ts';
import type { Page, PageRequest } from '../../db/page.ts';
import {
  findSession,
  listAttempts,
  listSessions,
  type SessionFilter,
} from '../../db/queries/sessions.ts';
import type { Session } from '../../db/schema.ts';
import { AppError } from '../../errors.ts';
import { type SessionView, toSessionView } from './view.ts';

/** @throws AppError `not_found` */
export async function getSession(db: Db, id: string): Promise<Session> {
  const session = await findSession(db, id);
  if (session) return session;
  throw noSuchSession(id);
}

export const noSuchSession = (id: string): AppError =>
  new AppError('not_found', `There is no session ${id} that this token may see.`);

export type SessionWithAttempts = SessionView & {
  /** Every attempt of the chain, first to last, this one included. */
  attempts: SessionView[];
};

export async function withAttempts(db: Db, session: Session): Promise<SessionWithAttempts> {
  const attempts = await listAttempts(db, session.root_id);
  return { ...toSessionView(session), attempts: attempts.map(toSessionView) };
}

export async function listSessionViews(
  db: Db,
  filter: SessionFilter,
  page: PageRequest,
): Promise<Page<SessionView>> {
  const { items, nextCursor } = await listSessions(db, filter, page);
  return { items: items.map(toSessionView), nextCursor };
}

/** Whether a session is an attempt at the same work before the one with this id; those after it are not its own. */
export async function isBefore(db: Db, id: string | null, session: Session): Promise<boolean> {
  const own = id === null ? undefined : await findSession(db, id);
  return own?.root_id === session.root_id && session.attempt <= own.attempt;
}
