import type { CallToolResult } from '@modelcontextprotocol/server';
import { DefibError, type Problem } from '../client/index.ts';

const LATER = 'Go on working, and call again later: this is no reason to stop.';

/** What a model is to do about the codes of the API; the detail says what is wrong. */
const ADVICE: Record<string, string> = {
  unauthorized:
    'Change no more files: the token was revoked, or another process has taken over its session. Tell the user that Defib refuses it.',
  forbidden: 'Do not try again. Tell the user that the token of Defib is for something else.',
  session_ended: 'Stop working on it: this session is over, and nothing more is taken from it.',
  session_superseded:
    'Stop working at once and change no more files: another agent goes on with this work, and two would undo each other.',
  issue_claimed: 'Do not work on this issue.',
  invalid: 'Fix the arguments and call again.',
  too_large: 'Shorten it and call again: leave out transcriptTail first, then long lists.',
  rate_limited: LATER,
  overloaded: LATER,
  unavailable: LATER,
  unreachable: LATER,
  internal: LATER,
};

/** A refusal as the result of a tool: code, what is wrong, what to do. Never internals. */
export function errorResult(problem: Problem): CallToolResult {
  const { code, detail, successorId, retryAfterSeconds, requestId } = problem;
  const lines = [
    `${code}: ${detail}`,
    ADVICE[code],
    successorId && `successorId: ${successorId}`,
    retryAfterSeconds && `Try again in ${retryAfterSeconds} s.`,
    requestId && `requestId: ${requestId}`,
  ];
  return { isError: true, content: [{ type: 'text', text: lines.filter(Boolean).join('\n') }] };
}

/** What did not come from the API is none of a model's business. */
export const toProblem = (error: unknown): Problem =>
  error instanceof DefibError ? error.problem : INTERNAL;

const INTERNAL: Problem = {
  code: 'internal',
  detail: 'Something went wrong in Defib itself. Its log has the cause.',
};
