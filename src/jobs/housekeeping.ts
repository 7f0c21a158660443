import type { Queue } from 'bullmq';
import { z } from 'zod';
import type { Db } from '../db/connect.ts';
import { exclusively } from '../db/queries/exclusively.ts';
import { purgeRuns } from '../db/queries/runs.ts';
import type { Log } from '../log.ts';
import { withTimeout } from '../with-timeout.ts';
import { defineJob } from './define.ts';
import { HOUSEKEEPING_QUEUE, type Queues } from './queues.ts';

export type HousekeepingDeps = {
  db: Db;
  log: Log;
  queues: Queues;
  runRetentionDays: number;
};

const SCHEDULER = 'housekeeping';
const EVERY_MS = 60_000;
const TIMEOUT_MS = 2000;
// Any constant that nobody else locks.
const LOCK_KEY = 4700_0001;
const DAY_MS = 24 * 3600 * 1000;
const BATCH = 1000;
const MAX_BATCHES = 50;
/** How long finished jobs stay visible in Bull Board where we clean by hand. */
const KEEP_JOBS_MS = 10 * 60_000;

/** Deletes what is past its retention, in bounded batches, so that nothing grows for ever. */
export const housekeepingJob = defineJob({
  queue: HOUSEKEEPING_QUEUE,
  schema: z.object({}),
  concurrency: 1,
  run: async (deps: HousekeepingDeps, _data, signal) => {
    const runs = await inBatches(signal, () =>
      purgeRuns(deps.db, {
        kind: 'heartbeat',
        acceptedBefore: new Date(Date.now() - deps.runRetentionDays * DAY_MS),
        limit: BATCH,
      }),
    );
    const jobs = deps.queues.backend.cleansByHand ? await cleanQueues(deps.queues, signal) : 0;
    if (runs + jobs > 0) deps.log.info({ runs, jobs }, 'removed what was past its retention');
  },
});

async function cleanQueues(queues: Queues, signal: AbortSignal): Promise<number> {
  let cleaned = 0;
  for (const queue of queues.all) {
    for (const state of ['completed', 'failed'] as const) {
      cleaned += await inBatches(
        signal,
        async () => (await queue.clean(KEEP_JOBS_MS, BATCH, state)).length,
      );
    }
  }
  return cleaned;
}

async function inBatches(signal: AbortSignal, step: () => Promise<number>): Promise<number> {
  let total = 0;
  for (let batch = 0; batch < MAX_BATCHES && !signal.aborted; batch += 1) {
    const count = await step();
    total += count;
    if (count < BATCH) break;
  }
  return total;
}

/**
 * Sets the job's schedule where there is none, as at the first start or after a flush, or where it
 * stands still. By one process at a time: the queue doubles a schedule that several set at once.
 * `now` is in milliseconds since the epoch.
 */
export async function scheduleHousekeeping(
  { db, queues }: Pick<HousekeepingDeps, 'db' | 'queues'>,
  now: number,
): Promise<void> {
  const queue = queues.all.find(({ name }) => name === HOUSEKEEPING_QUEUE);
  if (!queue || (await isScheduled(queue, now))) return;
  await exclusively(db, LOCK_KEY, async () => {
    if (await isScheduled(queue, now)) return;
    const template = { name: 'remove what is past its retention', data: {} };
    // The lock must not outlast a queue that hangs.
    await withTimeout(
      queue.upsertJobScheduler(SCHEDULER, { every: EVERY_MS }, template),
      TIMEOUT_MS,
    );
  });
}

async function isScheduled(queue: Queue, now: number): Promise<boolean> {
  const found = await withTimeout(queue.getJobScheduler(SCHEDULER), TIMEOUT_MS);
  return found?.every === EVERY_MS && (found.next ?? 0) > now - EVERY_MS;
}
