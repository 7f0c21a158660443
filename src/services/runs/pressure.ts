import type { Db } from '../../db/connect.ts';
import { countQueued } from '../../db/queries/runs.ts';
import { AppError } from '../../errors.ts';

export type Pressure = {
  /** @throws AppError `overloaded` when more work waits than the workers can take on. */
  check(): Promise<void>;
};

/**
 * Refuses new work before the queue drowns: an early "try again" beats a late time-out. The
 * number of queued runs is read at most once per `refreshMs`; between two reads, what this process
 * let in is added to it.
 */
export function createPressure(options: {
  db: Db;
  maxQueued: number;
  refreshMs: number;
  now: () => number;
}): Pressure {
  let queued = 0;
  let readAt = Number.NEGATIVE_INFINITY;
  let reading: Promise<void> | undefined;

  const refresh = async () => {
    queued = await countQueued(options.db, options.maxQueued + 1);
    readAt = options.now();
  };

  return {
    check: async () => {
      if (options.now() - readAt > options.refreshMs) {
        reading ??= refresh().finally(() => (reading = undefined));
        await reading;
      }
      if (queued >= options.maxQueued) {
        throw new AppError(
          'overloaded',
          `${queued} runs are waiting for a worker. Try again later; operators: start more workers.`,
          { transient: true, retryAfterSeconds: 5 },
        );
      }
      queued += 1;
    },
  };
}
