import { NO_ANSWER } from './client.ts';

// Connection failures (class 08), shutdown (57P0x), a statement that took too long, too many
// connections, and the network's own.
const CODES =
  /^(08\w{3}|57P0\w|57014|53300|ECONNREFUSED|ECONNRESET|ENOTFOUND|ETIMEDOUT|EPIPE|EAI_AGAIN)$/;
/** The driver's errors have no code. */
const MESSAGES = [
  'Connection terminated',
  'is not queryable',
  'timeout exceeded when trying to connect',
  'Cannot use a pool',
  NO_ANSWER,
];

/** Whether the database could not be asked, so that the same may succeed a little later. */
export function isDatabaseAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = 'code' in error ? String(error.code) : '';
  return CODES.test(code) || MESSAGES.some((text) => error.message.includes(text));
}
