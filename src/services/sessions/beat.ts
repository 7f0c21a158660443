import type { Place } from '../../contract/place.ts';
import type { Db } from '../../db/connect.ts';
import { beatSession, noteSaid, SIGN_OF_LIFE } from '../../db/queries/sessions.ts';
import type { Directive, Session, SessionStatus } from '../../db/schema.ts';
import { isPlain, redactSaid } from '../checkpoints/redact.ts';
import { refusal } from './refusal.ts';

export type BeatView = {
  status: SessionStatus;
  /** The time of the clock that the next two are told by. */
  now: string;
  leaseExpiresAt: string;
  deadlineAt: string | null;
  directives: Directive[];
  /** When to beat again, so that two beats may be lost before the lease ends. */
  nextHeartbeatSeconds: number;
};

export type SaidWithBeat = {
  turn?: number | undefined;
  note?: string | undefined;
  /** Where the work goes on from now, by who took the session up elsewhere; no worktree: in none. */
  host?: string | undefined;
  worktree?: string | undefined;
  place?: Place | undefined;
};

/**
 * The light beat: renews the lease in one statement, before its note is searched for secrets, which may have
 * to wait for its turn. What the server wants of the agent travels back on it.
 *
 * @throws AppError `session_ended`, `session_superseded` or `not_found`
 */
export async function beat(db: Db, id: string, said: SaidWithBeat): Promise<BeatView> {
  const note = said.note ?? '';
  const session = await beatSession(db, id, {
    turn: said.turn ?? null,
    note: said.note !== undefined && isPlain(note) ? note : null,
    place: placeOf(said),
  });
  if (!session?.lease_expires_at) throw await refusal(db, id);
  if (!isPlain(note)) await noteSaid(db, id, await redactSaid(note, { agent: session.agent_name }));
  const leaseEnd = session.lease_expires_at.getTime();
  return {
    status: session.status,
    now: new Date(leaseEnd - session.lease_seconds * 1000).toISOString(),
    leaseExpiresAt: session.lease_expires_at.toISOString(),
    deadlineAt: session.deadline_at?.toISOString() ?? null,
    directives: directivesOf(session),
    nextHeartbeatSeconds: Math.max(1, Math.floor(session.lease_seconds / 3)),
  };
}

function placeOf({ host, worktree, place }: SaidWithBeat) {
  return host === undefined ? null : { host, worktree: worktree ?? null, place: place ?? null };
}

export function directivesOf({ id, directive }: Session): Directive[] {
  return directive ? [{ ...directive, sessionId: id }] : [];
}

/** Renews the lease of a session that is about to send much. Of one that has ended, nothing. */
export async function noteSending(db: Db, id: string): Promise<void> {
  await beatSession(db, id, SIGN_OF_LIFE);
}
