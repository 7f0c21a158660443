import type { Context } from 'hono';
import type { Run } from '../db/schema.ts';
import type { RunWaiters } from '../services/runs/waiters.ts';
import type { AppEnv } from './env.ts';
import type { Preference } from './prefer.ts';
import { clientGone } from './request.ts';

/** How long a caller is held open when it does not say, in seconds. */
export const DEFAULT_WAIT_SECONDS = 25;

/**
 * Holds the caller open until its run is finished, as long as it prefers. Undefined: the run is not
 * finished by then.
 */
export async function holdOpen(
  c: Context<AppEnv>,
  waiters: RunWaiters,
  run: { id: string; created: boolean },
  prefer: Preference,
): Promise<Run | undefined> {
  const seconds = prefer.respondAsync ? 0 : (prefer.waitSeconds ?? DEFAULT_WAIT_SECONDS);
  if (seconds === 0) return undefined;
  const waiting = waiters.wait(run.id, { timeoutMs: seconds * 1000, signal: clientGone(c) });
  // A repeated request may ask for a run that is finished, of which no hint will come.
  if (!run.created) waiters.wake([run.id]);
  return await waiting;
}

/** Accepted and not done yet: what the 202 says, and where to ask. */
export function acceptedRun(c: Context<AppEnv>, runId: string, agentName: string) {
  const location = `/api/runs/${runId}`;
  c.header('Location', location);
  return { runId, agentName, location };
}
