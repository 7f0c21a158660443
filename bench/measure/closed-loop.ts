import type { Summary } from './stats.ts';
import { summarise } from './stats.ts';

export type Load = {
  callers: number;
  /** The loop ends at whichever comes first. */
  maxCalls: number;
  maxMs: number;
};

/**
 * Closed loop: each caller sends its next call only after its last was answered, so a slow
 * contender is never drowned and latency is never hidden in a backlog. The first failed call ends
 * the loop: it rejects once every caller has come to rest.
 *
 * @param first number of the first call; call numbers go on from there.
 */
export async function runClosedLoop(
  load: Load,
  first: number,
  call: (i: number) => Promise<unknown>,
): Promise<Summary> {
  const latencies: number[] = [];
  const started = performance.now();
  let next = first;
  let failed = false;
  const goesOn = (): boolean =>
    !failed && next < first + load.maxCalls && performance.now() - started < load.maxMs;
  const caller = async (): Promise<void> => {
    while (goesOn()) {
      const asked = performance.now();
      await call(next++);
      latencies.push(performance.now() - asked);
    }
  };
  const callers = Array.from({ length: load.callers }, () =>
    caller().catch((error: unknown) => {
      failed = true;
      throw error;
    }),
  );
  for (const outcome of await Promise.allSettled(callers)) {
    if (outcome.status === 'rejected') throw outcome.reason;
  }
  return summarise(latencies, performance.now() - started);
}
