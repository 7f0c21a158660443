import type { Db } from '../db/connect.ts';
import { requeueAbandoned } from '../db/queries/abandoned-runs.ts';
import { type Dispatch, nextDispatch, takeOverdue } from '../db/queries/run-claims.ts';
import type { Log } from '../log.ts';
import { MAX_DEATHS } from '../services/runs/claims.ts';
import { giveUpAbandoned } from '../services/runs/give-up.ts';
import type { SessionSettings } from '../services/sessions/settings.ts';
import { inTurns, type Queues } from './queues.ts';
import type { Wakeups } from './wakeups.ts';

export type SweepDeps = {
  db: Db;
  log: Log;
  queues: Queues;
  wakeups: Wakeups;
  sessionSettings: SessionSettings;
};

export type SweepLimits = {
  /** A run whose worker died this many times is given up. */
  maxDeaths: number;
  /** Seconds after which a queued run that nobody claimed is looked for in the queue. */
  overdueSeconds: number;
  /** Most rows that one sweep takes of each kind. */
  batch: number;
};

export const SWEEP_LIMITS: SweepLimits = { maxDeaths: MAX_DEATHS, overdueSeconds: 10, batch: 500 };

export type Swept = { requeued: number; failed: number; redispatched: number };

/**
 * Rebuilds the queue from Postgres: puts back what a dead worker left, gives up what kills every
 * worker that takes it, and dispatches again what the queue has lost. Any number of processes may sweep at
 * once; each row is taken by one of them.
 */
export async function sweep(deps: SweepDeps, limits: SweepLimits): Promise<Swept> {
  const requeued = await requeueAbandoned(deps.db, {
    maxDeaths: limits.maxDeaths,
    limit: limits.batch,
  });
  await enqueueAll(deps.queues, requeued);
  const { ids, runs } = await giveUpAbandoned({
    db: deps.db,
    log: deps.log,
    maxDeaths: limits.maxDeaths,
    limit: limits.batch,
    retentionDays: deps.sessionSettings.checkpointRetentionDays,
  });
  ids.forEach((id) => deps.wakeups.publish(id, null));
  await enqueueAll(deps.queues, runs);
  const redispatched = await redispatchLost(deps, limits);
  return { requeued: requeued.length, failed: ids.length, redispatched };
}

/** A backlog is not a loss: only runs whose job is no longer in the queue get a new one. */
async function redispatchLost(deps: SweepDeps, limits: SweepLimits): Promise<number> {
  const overdue = await takeOverdue(deps.db, {
    olderThanSeconds: limits.overdueSeconds,
    limit: limits.batch,
  });
  const pending = await Promise.all(overdue.map((dispatch) => deps.queues.isPending(dispatch)));
  const lost = overdue.filter((_, index) => !pending[index]).map(({ id }) => id);
  if (lost.length === 0) return 0;
  const again = await nextDispatch(deps.db, lost);
  await enqueueAll(deps.queues, again);
  return again.length;
}

async function enqueueAll(queues: Queues, dispatches: Dispatch[]): Promise<void> {
  await Promise.all(inTurns(dispatches).map((dispatch) => queues.enqueueRun(dispatch, null)));
}
