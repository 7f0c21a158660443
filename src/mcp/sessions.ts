import { z } from 'zod';
import { DefibError } from '../client/index.ts';

/** A session that tools work in, and what lets one into it. */
export type OpenSession = { id: string; token: string };

/** How the tools find the session that they work in. */
export type Sessions = {
  /** Whether each call has to name it, as start_session and claim have told the agent. */
  areNamed: boolean;
  /** @returns undefined when there is none */
  find(args: InSession): OpenSession | undefined;
  /** @throws DefibError `conflict` when one has to be finished before another can be opened */
  assertNoneOpen(): void;
  opened(session: OpenSession): void;
  ended(): void;
};

/** The argument of every tool that works in a session. */
export type InSession = { session?: OpenSession | undefined };

const forgetful = { assertNoneOpen() {}, opened() {}, ended() {} };

/** The one session that the caller's own token is for. */
export const onlySession = (session: OpenSession): Sessions => ({
  ...forgetful,
  areNamed: false,
  find: () => session,
});

/** Where any process may answer the next call, nothing is kept between calls. */
export const namedSessions: Sessions = {
  ...forgetful,
  areNamed: true,
  find: ({ session }) => session,
};

/** A process that serves one agent keeps its session, so that the token never reaches a model. */
export function keptSession(): Sessions {
  let current: OpenSession | undefined;
  return {
    areNamed: false,
    find: () => current,
    assertNoneOpen() {
      if (!current) return;
      const detail = `The session ${current.id} is open. Call finish before you begin another.`;
      throw new DefibError({ code: 'conflict', detail });
    },
    opened(session) {
      current = session;
    },
    ended() {
      current = undefined;
    },
  };
}

const named = z
  .strictObject({ id: z.string(), token: z.string() })
  .optional()
  .describe('The session to work in, exactly as start_session or claim returned it.');

/** The arguments of a tool that works in a session, with the session where it has to be named. */
export function argumentsIn<Shape extends z.core.$ZodShape>(sessions: Sessions, shape: Shape) {
  const schema = z.strictObject(sessions.areNamed ? { ...shape, session: named } : shape);
  return schema as unknown as z.ZodType<z.infer<z.ZodObject<Shape>> & InSession>;
}
