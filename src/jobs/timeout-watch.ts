import { z } from 'zod';
import type { Db } from '../db/connect.ts';
import type { Log } from '../log.ts';
import type { SessionSettings } from '../services/sessions/settings.ts';
import { watchSessions } from '../services/sessions/watch.ts';
import { defineJob } from './define.ts';
import { TIMEOUT_WATCH_QUEUE } from './queues.ts';

export type TimeoutWatchDeps = { db: Db; log: Log; sessionSettings: SessionSettings };

const BATCH = 200;

/** Finds the dead: see `watchSessions`. Runs every second on one worker or another. */
export const timeoutWatchJob = defineJob({
  queue: TIMEOUT_WATCH_QUEUE,
  schema: z.object({}),
  concurrency: 1,
  run: async ({ db, log, sessionSettings }: TimeoutWatchDeps) => {
    await watchSessions({ db, log, settings: sessionSettings, batch: BATCH });
  },
});
