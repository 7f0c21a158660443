import { setTimeout as delay } from 'node:timers/promises';
import { runClosedLoop } from '../measure/closed-loop.ts';

export type Pace = { everyMs: number; forMs: number; callers: number; interrupt: AbortSignal };

/**
 * Calls at an even pace, as a fleet on timers does. Where the callers cannot keep up, the pace
 * slows down; nothing is sent twice to catch up.
 *
 * @returns how long it really took, milliseconds, and the number of calls.
 */
export async function runPaced(
  { everyMs, forMs, callers, interrupt }: Pace,
  call: (i: number) => Promise<unknown>,
): Promise<{ calls: number; elapsedMs: number }> {
  const started = performance.now();
  const load = { callers, maxCalls: Math.ceil(forMs / everyMs), maxMs: forMs };
  const { calls } = await runClosedLoop(load, 0, async (i) => {
    const early = started + i * everyMs - performance.now();
    await delay(Math.max(0, early), undefined, { signal: interrupt });
    await call(i);
  });
  return { calls, elapsedMs: performance.now() - started };
}
