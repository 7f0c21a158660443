import { UnrecoverableError, type Worker } from 'bullmq';
import { ZodError } from 'zod';
import { noteHost } from '../db/queries/worker-hosts.ts';
import type { Log } from '../log.ts';
import { withTimeout } from '../with-timeout.ts';
import { scheduleHousekeeping } from './housekeeping.ts';
import { hostQueue } from './queues.ts';
import { checkRegistry, type JobDeps, jobs } from './registry.ts';
import { scheduleTimeoutWatch } from './timeout-watch.ts';
import { PLACES_PER_AGENT } from './session-work.ts';
import { createGate, createSlots } from './slots.ts';
import { sweep, SWEEP_LIMITS } from './sweep.ts';

export type Workers = {
  /**
   * Stops taking jobs, gives running ones until `deadlineMs` to finish, then tells them to stop and
   * gives their runs back. Ends by itself even when the queue's server is gone.
   */
  close(deadlineMs: number): Promise<void>;
  /** Whether they have lately swept, and said that this host has a worker. */
  isWorking(): boolean;
};

export type WorkersOptions = {
  deps: Omit<JobDeps, 'slots' | 'sessionGate'>;
  log: Log;
  /** Names this machine: work on its worktrees comes to its workers. */
  host: string;
  concurrency: number;
  sweepMs: number;
};

/** How long after the drain's deadline a stopped job may take to give its run back. */
const GIVE_BACK_MS = 2000;

/** A sweep may take so long beyond its pace, on a busy machine too. */
const SWEEP_LATE_MS = 30_000;

export function startWorkers(options: WorkersOptions): Workers {
  const { log, host, concurrency, sweepMs } = options;
  const slots = createSlots((error) => log.error({ err: error }, 'job failed'));
  const sessionGate = createGate(PLACES_PER_AGENT);
  const deps = { ...options.deps, slots, sessionGate };
  checkRegistry(
    jobs,
    deps.queues.all.map((queue) => queue.name),
  );
  const drain = new AbortController();
  let closing = false;
  const workers = jobs.flatMap((job) => {
    const queues = job.perHost ? [job.queue, hostQueue(job.queue, host)] : [job.queue];
    return queues.map((queue) =>
      deps.queues.backend
        .openWorker(
          queue,
          async ({ data }) => {
            await job.run(deps, data, drain.signal).catch(toQueueError);
          },
          { concurrency: job.concurrency ?? concurrency },
        )
        .on('error', (error) => {
          // While we close, connections are meant to end.
          if (!closing) log.warn({ err: error, queue }, 'queue worker');
        })
        .on('failed', (failed, error) =>
          log.error({ err: error, queue, jobId: failed?.id }, 'job failed'),
        ),
    );
  });
  const sweeping = startSweeping(deps, { log, host, sweepMs });

  return {
    isWorking: sweeping.isWorking,
    close: async (deadlineMs) => {
      closing = true;
      sessionGate.close();
      const closed = Promise.all([
        sweeping.stop(),
        ...workers.map((worker) => worker.close()),
      ]).then(() => slots.idle());
      closed.catch((error: unknown) => log.warn({ err: error }, 'closing a queue worker'));
      await withTimeout(closed, deadlineMs).catch(() => giveBack(drain, closed, workers));
    },
  };
}

async function giveBack(
  drain: AbortController,
  closed: Promise<unknown>,
  workers: Worker[],
): Promise<void> {
  drain.abort(new Error('draining'));
  await withTimeout(closed, GIVE_BACK_MS).catch(() => {
    // Nothing more to wait for: what was not given back, the sweep of another process takes.
    for (const worker of workers) void worker.close(true).catch(() => undefined);
  });
}

/** A payload that does not fit its schema never will: no retry makes it better. */
function toQueueError(error: unknown): never {
  if (error instanceof ZodError) throw new UnrecoverableError(`bad payload: ${error.message}`);
  throw error;
}

function startSweeping(
  deps: JobDeps,
  { log, host, sweepMs }: Pick<WorkersOptions, 'log' | 'host' | 'sweepMs'>,
): { stop: () => Promise<void>; isWorking: () => boolean } {
  // At the start they are taken at their word.
  let sweptAt = performance.now();
  let running: Promise<void> | undefined;
  const once = async () => {
    try {
      await noteHost(deps.db, host);
      const swept = await sweep(deps, SWEEP_LIMITS);
      if (swept.requeued + swept.failed + swept.redispatched > 0) {
        log.warn(swept, 'the sweep found runs that the queue or a worker had lost');
      }
      await scheduleHousekeeping(deps, Date.now());
      await scheduleTimeoutWatch(deps, Date.now());
      sweptAt = performance.now();
    } catch (error) {
      log.warn({ err: error }, 'the sweep failed and is tried again');
    }
  };
  const tick = () => {
    running ??= once().finally(() => (running = undefined));
  };
  // Not a queued job on purpose: it is what puts the queue right when the queue is wrong.
  const timer = setInterval(tick, sweepMs);
  tick();
  return {
    stop: async () => {
      clearInterval(timer);
      await running;
    },
    isWorking: () => performance.now() - sweptAt < sweepMs + SWEEP_LATE_MS,
  };
}
