import type { Dispatch } from '../db/queries/run-claims.ts';
import type { Log } from '../log.ts';
import type { Queues } from './queues.ts';

/**
 * Hands runs whose rows are written to the queue. If it cannot be reached they are no less recorded;
 * the sweep hands them over once it is back.
 */
export function enqueueSessionRuns(
  deps: { queues: Queues; log: Log; instance: string },
  runs: Dispatch[],
): void {
  for (const run of runs) {
    deps.queues
      .enqueueRun(run, deps.instance)
      .catch((error: unknown) =>
        deps.log.warn({ err: error }, 'could not enqueue a run; the sweep will'),
      );
  }
}
