import type { ToolAnnotations } from '@modelcontextprotocol/server';
import type { z } from 'zod';
import { type Client, DefibError } from '../client/index.ts';
import type { InSession, OpenSession, Sessions } from './sessions.ts';

/** Who the tools act for, and the API that they act on. */
export type Caller = {
  /** The API, as whoever this token is for. */
  api(token: string): Client;
  /** Undefined: the token is a session's, and all that it can do is to work in that session. */
  agent: { name: string; token: string } | undefined;
  sessions: Sessions;
  /** Where the agent works, if that is known: its host, and the folder of its repository. */
  place: { host?: string; worktree?: string };
  /** Told what went wrong in Defib itself, and is none of the model's business. */
  onError(error: unknown): void;
};

export type Call = { caller: Caller; signal: AbortSignal };

/** One tool. Its data is what a program gets, its text the same for a model. */
export type Tool<In, Out extends Record<string, unknown>> = {
  name: string;
  title: string;
  description: string;
  input: z.ZodType<In>;
  output: z.ZodType<Out>;
  annotations: ToolAnnotations;
  /** @throws DefibError as the API answered */
  run(args: In, call: Call): Promise<Out>;
  text(data: Out): string;
};

/** Of a tool that adds something, once more with each call, and takes nothing away. */
export const ADDS: ToolAnnotations = {
  readOnlyHint: false,
  destructiveHint: false,
  idempotentHint: false,
  openWorldHint: false,
};

/** @throws DefibError `invalid` when there is no session to work in */
export function sessionOf({ caller: { sessions } }: Call, args: InSession): OpenSession {
  const session = sessions.find(args);
  if (session) return session;
  const detail = sessions.areNamed
    ? 'session: must be what start_session or claim returned'
    : 'There is no open session. Call start_session or claim first.';
  throw new DefibError({ code: 'invalid', detail });
}

/** @throws Error when the caller is no agent: then the tool should not have been there */
export function agentOf({ caller: { agent } }: Call): { name: string; token: string } {
  if (!agent) throw new Error('this tool is for agents');
  return agent;
}
