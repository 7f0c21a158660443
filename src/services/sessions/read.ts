import type { Setup } from '../../contract/setup.ts';
import type { Db } from '../../db/connect.ts';
import type { Page, PageRequest } from '../../db/page.ts';
import { findAgentPolicy } from '../../db/queries/agents.ts';
import {
  findSession,
  listAttempts,
  listSessions,
  type SessionFilter,
} from '../../db/queries/sessions.ts';
import { findResults } from '../../db/queries/session-results.ts';
import { findWaits } from '../../db/queries/session-waits.ts';
import type { Session } from '../../db/schema.ts';
import { AppError } from '../../errors.ts';
import { toResult } from './result.ts';
import type { SessionSettings } from './settings.ts';
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
  /** What a new worktree for it needs, by its agent's policy. */
  setup: Setup | null;
};

export async function withAttempts(
  db: Db,
  settings: SessionSettings,
  session: Session,
): Promise<SessionWithAttempts> {
  const attempts = await listAttempts(db, session.root_id);
  const views = await viewSessions(db, settings, attempts);
  const own = views.find(({ id }) => id === session.id) ?? toSessionView(session);
  const policy = await findAgentPolicy(db, session.agent_id);
  return { ...own, attempts: views, setup: policy?.setup ?? null };
}

/** Sessions with what is not in their rows, in their order. */
export async function viewSessions(
  db: Db,
  settings: SessionSettings,
  sessions: Session[],
): Promise<SessionView[]> {
  const waiting = sessions.filter(
    ({ status, resume_at: resumeAt }) => status === 'pending' || resumeAt !== null,
  );
  const waits = await findWaits(
    db,
    waiting.map(({ id }) => id),
    settings,
  );
  const waitOf = new Map(waits.map((wait) => [wait.id, wait]));
  const completed = sessions.filter(({ status }) => status === 'completed');
  const results = await findResults(
    db,
    completed.map(({ id }) => id),
  );
  const resultOf = new Map(results.map((work) => [work.id, toResult(work)]));
  return sessions.map((session) =>
    toSessionView(session, { wait: waitOf.get(session.id), result: resultOf.get(session.id) }),
  );
}

export async function viewSession(
  db: Db,
  settings: SessionSettings,
  session: Session,
): Promise<SessionView> {
  const [view] = await viewSessions(db, settings, [session]);
  return view ?? toSessionView(session);
}

export async function listSessionViews(
  db: Db,
  settings: SessionSettings,
  filter: SessionFilter,
  page: PageRequest,
): Promise<Page<SessionView>> {
  const { items, nextCursor } = await listSessions(db, filter, page);
  return { items: await viewSessions(db, settings, items), nextCursor };
}

/** Whether a session is an attempt at the same work before the one with this id; those after it are not its own. */
export async function isBefore(db: Db, id: string | null, session: Session): Promise<boolean> {
  const own = id === null ? undefined : await findSession(db, id);
  return own?.root_id === session.root_id && session.attempt <= own.attempt;
}
