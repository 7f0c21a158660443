import { mkdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AgentEvent } from '../adapters/event.ts';
import { stateFolder } from './hook-log.ts';

/** Tool calls come in bursts, and each checkpoint holds all that came before. */
const INTERVAL_MS = 10_000;

/** Whether to post now: not sooner than ten seconds after the last time, unless the agent stops. */
export function claimPost(env: NodeJS.ProcessEnv, { kind }: AgentEvent): boolean {
  const session = (env['DEFIB_SESSION_ID'] ?? '').replaceAll(/[^\w-]/g, '_');
  const stamp = join(stateFolder(env), `posted-${session}`);
  if (kind === 'stop') {
    rmSync(stamp, { force: true });
    return true;
  }
  const now = new Date();
  try {
    if (now.getTime() - statSync(stamp).mtimeMs < INTERVAL_MS) return false;
    utimesSync(stamp, now, now);
  } catch {
    mkdirSync(stateFolder(env), { recursive: true, mode: 0o700 });
    writeFileSync(stamp, '', { mode: 0o600 });
  }
  return true;
}
