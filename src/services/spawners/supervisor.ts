import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The program `defib`: TypeScript in the repository, JavaScript in the package. */
const DEFIB = fileURLToPath(new URL(`../../cli/main${extname(import.meta.url)}`, import.meta.url));

/**
 * A command as a session that was resumed: what somebody at a keyboard would run for the first attempt.
 * One code path beats, saves and stops for both.
 */
export const supervised = (sessionId: string, command: string[]): [string, ...string[]] => [
  process.execPath,
  DEFIB,
  'run',
  '--session',
  sessionId,
  '--',
  ...command,
];
