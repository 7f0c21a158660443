import { z } from 'zod';
import type { Session } from '../../client/index.ts';
import type { Caller } from '../tool.ts';

/** What an agent is told of a session that it started or claimed. */
export const opened = {
  session: z
    .object({ id: z.string(), token: z.string() })
    .optional()
    .describe('Give this as `session` to every other tool. Keep the token to yourself.'),
  sessionId: z.string().optional(),
  attempt: z.int().min(1).optional().describe('1: nobody worked on it before you.'),
  objective: z.string().optional(),
  worktree: z.string().nullable().optional().describe('Work in this folder.'),
  issueUrl: z.string().nullable().optional(),
  deadlineAt: z.string().nullable().optional().describe('The session ends then, whatever you do.'),
};

/** Keeps the session for the calls to come, or hands it to the agent to name. */
export function open({ sessions }: Caller, { id, ...session }: Session, token: string) {
  sessions.opened({ id, token });
  const { attempt, objective, worktree, issueUrl, deadlineAt } = session;
  return {
    ...(sessions.areNamed && { session: { id, token } }),
    sessionId: id,
    attempt,
    objective,
    worktree,
    issueUrl,
    deadlineAt,
  };
}

/** The session in words; what must be named in later calls goes with it. */
export const inWords = (data: {
  session?: { id: string; token: string } | undefined;
  sessionId?: string | undefined;
  worktree?: string | null | undefined;
}): string[] => [
  `Session ${data.sessionId} is open.`,
  ...(data.worktree ? [`Its folder: ${data.worktree}`] : []),
  ...(data.session
    ? [`Give this to every other tool: "session": ${JSON.stringify(data.session)}`]
    : []),
];
