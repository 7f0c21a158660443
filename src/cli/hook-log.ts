import { appendFileSync, existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

const MAX_BYTES = 256 * 1024;

/** Where hooks say what went wrong: with their session, else with the user. */
export function hookLogPath(env: NodeJS.ProcessEnv): string {
  const session = env['DEFIB_SESSION_DIR'];
  if (session && existsSync(session)) return join(session, 'hook.log');
  return join(stateFolder(env), 'hook.log');
}

/** What Defib keeps for this user between its runs. */
export function stateFolder(env: NodeJS.ProcessEnv): string {
  const state = env['XDG_STATE_HOME'] || join(env['HOME'] || homedir(), '.local', 'state');
  return join(state, 'defib');
}

/**
 * Adds one line. The log keeps its last 256 KiB and as much before that, in `hook.log.1`. A log that
 * cannot be written must not break the agent either.
 */
export function logProblem(env: NodeJS.ProcessEnv, problem: unknown): void {
  try {
    const path = hookLogPath(env);
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    if (existsSync(path) && statSync(path).size > MAX_BYTES) renameSync(path, `${path}.1`);
    const text = problem instanceof Error ? problem.message : String(problem);
    const line = text.replaceAll(/\s+/g, ' ').slice(0, 1000);
    appendFileSync(path, `${new Date().toISOString()} ${line}\n`, { mode: 0o600 });
  } catch {
    // Nowhere to say it.
  }
}
