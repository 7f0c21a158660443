import { z } from 'zod';
import type { Db } from '../db/connect.ts';
import type { Log } from '../log.ts';
import type { SessionSettings } from '../services/sessions/settings.ts';
import { watchSessions } from '../services/sessions/watch.ts';
import { defineJob } from './define.ts';
import { inTurns, type Queues, TIMEOUT_WATCH_QUEUE } from './queues.ts';
import { ensureSchedule, type Schedule } from './schedule.ts';

export type TimeoutWatchDeps = {
  db: Db;
  log: Log;
  queues: Queues;
  sessionSettings: SessionSettings;
};

const BATCH = 200;
const SCHEDULE: Schedule = {
  queue: TIMEOUT_WATCH_QUEUE,
  everyMs: 1000,
  title: 'find sessions that timed out',
};

/** Finds the dead: see `watchSessions`. Runs every second on one worker or another. */
export const timeoutWatchJob = defineJob({
  queue: TIMEOUT_WATCH_QUEUE,
  schema: z.object({}),
  concurrency: 1,
  run: async ({ db, log, queues, sessionSettings }: TimeoutWatchDeps) => {
    const { runs } = await watchSessions({ db, log, settings: sessionSettings, batch: BATCH });
    // What the queue does not take, the sweep hands it again.
    await Promise.allSettled(inTurns(runs).map((run) => queues.enqueueRun(run, null)));
  },
});

export async function scheduleTimeoutWatch(
  { db, queues }: { db: Db; queues: Queues },
  now: number,
): Promise<void> {
  await ensureSchedule(db, queues, SCHEDULE, now);
}
