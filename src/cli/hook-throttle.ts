import { statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AgentEvent } from '../adapters/event.ts';

/** Tool calls come in bursts, and each checkpoint holds all that came before. */
const INTERVAL_MS = 10_000;

/** Whether to post now: not sooner than ten seconds after the last time, unless the agent stops. */
export function claimPost(sessionId: string, { kind }: AgentEvent): boolean {
  const stamp = join(tmpdir(), `defib-hook-${sessionId.replaceAll(/[^\w-]/g, '_')}`);
  const now = new Date();
  try {
    if (kind !== 'stop' && now.getTime() - statSync(stamp).mtimeMs < INTERVAL_MS) return false;
    utimesSync(stamp, now, now);
  } catch {
    writeFileSync(stamp, '', { mode: 0o600 });
  }
  return true;
}
