import { z } from 'zod';
import type { Db } from '../db/connect.ts';
import { purgeAudit } from '../db/queries/audit.ts';
import { deleteUnusedBundles } from '../db/queries/bundles.ts';
import { purgeClaims } from '../db/queries/claim-retention.ts';
import { purgeRuns } from '../db/queries/runs.ts';
import { purgeSessions, purgeTokens } from '../db/queries/session-retention.ts';
import { listHosts } from '../db/queries/worker-hosts.ts';
import type { Log } from '../log.ts';
import type { HeartbeatDeps } from '../services/heartbeat/step.ts';
import { sweepClaims } from '../services/reconcile/sweep-claims.ts';
import { defineJob } from './define.ts';
import { HOUSEKEEPING_QUEUE, type Queues } from './queues.ts';
import { ensureSchedule, type Schedule } from './schedule.ts';

export type HousekeepingDeps = {
  db: Db;
  log: Log;
  queues: Queues;
  heartbeat: Pick<HeartbeatDeps, 'reconcile'>;
  runRetentionDays: number;
  sessionRetentionDays: number;
  auditRetentionDays: number;
};

const SCHEDULE: Schedule = {
  queue: HOUSEKEEPING_QUEUE,
  everyMs: 60_000,
  title: 'end claims nobody holds, remove what is past its retention',
};
const DAY_MS = 24 * 3600 * 1000;
const ago = (days: number) => new Date(Date.now() - days * DAY_MS);
const BATCH = 1000;
/** A bundle is written before the row that names it. */
const UNUSED_SECONDS = 3600;
const MAX_BATCHES = 50;
/** How long finished jobs stay visible in Bull Board where we clean by hand. */
const KEEP_JOBS_MS = 10 * 60_000;

/**
 * Ends the claims of agents that look after theirs no more, and deletes what is past its retention,
 * in bounded batches, so that nothing grows for ever.
 */
export const housekeepingJob = defineJob({
  queue: HOUSEKEEPING_QUEUE,
  schema: z.object({}),
  concurrency: 1,
  run: async (deps: HousekeepingDeps, _data, signal) => {
    const ended = await sweepClaims(deps.heartbeat.reconcile, signal);
    if (ended > 0) deps.log.info({ claims: ended }, 'ended claims that no session holds');
    const before = ago(deps.runRetentionDays);
    const runs = await inBatches(signal, () =>
      purgeRuns(deps.db, { acceptedBefore: before, limit: BATCH }),
    );
    const claims = await inBatches(signal, () =>
      purgeClaims(deps.db, { releasedBefore: before, limit: BATCH }),
    );
    const bundles = await inBatches(signal, () =>
      deleteUnusedBundles(deps.db, { olderThanSeconds: UNUSED_SECONDS, limit: BATCH }),
    );
    const sessions = await inBatches(signal, () =>
      purgeSessions(deps.db, { before: ago(deps.sessionRetentionDays), limit: BATCH }),
    );
    const tokens = await inBatches(signal, () => purgeTokens(deps.db, { before, limit: BATCH }));
    const audit = await inBatches(signal, () =>
      purgeAudit(deps.db, { before: ago(deps.auditRetentionDays), limit: BATCH }),
    );
    const jobs = deps.queues.backend.cleansByHand ? await cleanQueues(deps, signal) : 0;
    const removed = { runs, claims, bundles, sessions, tokens, audit, jobs };
    if (Object.values(removed).some((count) => count > 0)) {
      deps.log.info(removed, 'removed what was past its retention');
    }
  },
});

async function cleanQueues({ db, queues }: HousekeepingDeps, signal: AbortSignal): Promise<number> {
  let cleaned = 0;
  for (const queue of queues.withHosts(await listHosts(db))) {
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

export async function scheduleHousekeeping(
  { db, queues }: Pick<HousekeepingDeps, 'db' | 'queues'>,
  now: number,
): Promise<void> {
  await ensureSchedule(db, queues, SCHEDULE, now);
}
