import { styleText } from 'node:util';
import { DefibError } from '../../client/error.ts';
import { printable } from './printable.ts';

/** What goes wrong outside the API. Its text says what is wrong; `hint` says what to do. */
export class CliError extends Error {
  readonly code: string;
  readonly hint: string | undefined;

  constructor(code: string, message: string, hint?: string) {
    super(message);
    this.name = 'CliError';
    this.code = code;
    this.hint = hint;
  }
}

/** What to do about the codes of the API that the command line knows more about than the server. */
const HINTS: Record<string, string> = {
  unreachable: 'Start the service with "defib up", or set DEFIB_URL to where it runs.',
  unauthorized: 'Set DEFIB_TOKEN to a token that is valid there, or ask its operator for one.',
  forbidden: 'Use an operator token: "defib token issue --operator" makes one.',
  not_found: '"defib sessions", "defib logs" and "defib agents" show what there is.',
  rate_limited: 'Wait a moment, then try again.',
  overloaded: 'Wait a moment, then try again.',
  unavailable: 'Try again in a few seconds; "defib doctor" finds out what is away.',
  internal: "Look for the request id in the server's log.",
};

/**
 * Tells an error on stderr: code, what is wrong, what to do; as JSON where JSON was asked for.
 *
 * @returns the exit code
 */
export function report(error: unknown, json: boolean): number {
  const { code, message, hint, more } = describe(error);
  if (json) {
    process.stderr.write(`${JSON.stringify({ error: { code, message, hint, ...more } })}\n`);
    return 1;
  }
  const label = styleText('red', `${code}:`, { stream: process.stderr });
  process.stderr.write(`defib: ${label} ${printable(message)}\n`);
  if (hint) process.stderr.write(`  ${hint}\n`);
  if (more?.requestId) process.stderr.write(`  (request ${printable(more.requestId)})\n`);
  return 1;
}

type Description = {
  code: string;
  message: string;
  hint?: string | undefined;
  more?: DefibError['problem'];
};

function describe(error: unknown): Description {
  if (error instanceof DefibError) {
    const { code, problem } = error;
    // Of what is refused for another reason, the server says what to do.
    const known = code !== 'forbidden' || problem.detail.includes('operator token');
    return { code, message: problem.detail, hint: known ? HINTS[code] : undefined, more: problem };
  }
  if (error instanceof CliError) {
    return { code: error.code, message: error.message, hint: error.hint };
  }
  // A mistake of ours: whoever reports it needs the place.
  return { code: 'bug', message: error instanceof Error ? (error.stack ?? '') : String(error) };
}
