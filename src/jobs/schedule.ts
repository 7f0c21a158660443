import type { Queue } from 'bullmq';
import type { Db } from '../db/connect.ts';
import { exclusively } from '../db/queries/exclusively.ts';
import { withTimeout } from '../with-timeout.ts';
import type { Queues } from './queues.ts';

export type Schedule = {
  queue: string;
  everyMs: number;
  /** The job's name as Bull Board shows it. */
  title: string;
};

const TIMEOUT_MS = 2000;
/** A busy worker may be late; only a schedule that is later than this stands still. */
const SLACK_MS = 15_000;
// Any constant that nobody else locks.
const LOCK_KEY = 4700_0001;

/**
 * Sets a job's schedule where there is none, as at the first start or after a flush, or where it
 * stands still. By one process at a time: the queue doubles a schedule that several set at once.
 * `now` is in milliseconds since the epoch.
 */
export async function ensureSchedule(
  db: Db,
  queues: Queues,
  schedule: Schedule,
  now: number,
): Promise<void> {
  const queue = queues.all.find(({ name }) => name === schedule.queue);
  if (!queue || (await isScheduled(queue, schedule, now))) return;
  await exclusively(db, LOCK_KEY, async () => {
    if (await isScheduled(queue, schedule, now)) return;
    const template = { name: schedule.title, data: {} };
    // The lock must not outlast a queue that hangs.
    await withTimeout(
      queue.upsertJobScheduler(schedule.queue, { every: schedule.everyMs }, template),
      TIMEOUT_MS,
    );
  });
}

async function isScheduled(queue: Queue, schedule: Schedule, now: number): Promise<boolean> {
  const found = await withTimeout(queue.getJobScheduler(schedule.queue), TIMEOUT_MS);
  const late = Math.max(schedule.everyMs, SLACK_MS);
  return found?.every === schedule.everyMs && (found.next ?? 0) > now - late;
}
