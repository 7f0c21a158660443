import { type ChildProcess, spawn } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** TypeScript in the repository, JavaScript in the package. */
const SCRIPT = fileURLToPath(new URL(`./agent${extname(import.meta.url)}`, import.meta.url));

/** The demo's agent, as a program and its arguments. */
export const agentCommand = (...args: string[]): string[] => [process.execPath, SCRIPT, ...args];

/** Starts the first attempt, as somebody would by hand. */
export function runAgent(session: {
  url: string;
  sessionId: string;
  token: string;
  worktree: string;
}): ChildProcess {
  const [program = '', ...args] = agentCommand();
  return spawn(program, args, {
    cwd: session.worktree,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      ...process.env,
      DEFIB_URL: session.url,
      DEFIB_SESSION_ID: session.sessionId,
      DEFIB_SESSION_TOKEN: session.token,
    },
  });
}
