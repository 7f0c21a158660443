import type { Queue } from 'bullmq';
import { createBatcher } from '../batch.ts';
import type { Dispatch } from '../db/queries/run-claims.ts';
import type { RunKind } from '../db/schema.ts';
import { withTimeout } from '../with-timeout.ts';
import type { QueueBackend } from './backend.ts';

/** What a run's job carries: only what finds the row. `origin` is the process that waits for it. */
export type RunJobData = { runId: string; agentName: string; origin: string | null };

/** Which queue serves which kind of run. */
export const RUN_QUEUES = {
  heartbeat: 'heartbeat',
  checkpoint: 'sessions',
  resume: 'sessions',
  prune: 'sessions',
} as const satisfies Record<RunKind, string>;

/** The queue for work that only the workers of one host can do. */
export const hostQueue = (queue: string, host: string): string => `${queue}@${host}`;

export const HOUSEKEEPING_QUEUE = 'housekeeping';
export const TIMEOUT_WATCH_QUEUE = 'timeout-watch';

export type Queues = {
  backend: QueueBackend;
  /** Every queue but those of hosts. */
  all: Queue[];
  /** Every queue, with those of these hosts: for Bull Board, metrics and housekeeping. */
  withHosts(hosts: string[]): Queue[];
  /** Hands a queued run to the workers. Doing it twice is harmless: the job's id is the same. */
  enqueueRun(dispatch: Dispatch, origin: string | null): Promise<void>;
  /** Whether the queue still holds this dispatch and will get to it. */
  isPending(dispatch: Dispatch): Promise<boolean>;
  close(): Promise<void>;
};

type BulkJob = Parameters<Queue['addBulk']>[0][number];
type RunQueue = { queue: Queue; add: (job: BulkJob) => Promise<unknown> };

/** A queue that is gone must not hold up whoever asks it: without an answer, the sweep asks again. */
const TIMEOUT_MS = 2000;
/**
 * States in which a worker will still take the job. Not `active`: a worker that has the job claims
 * its run at once, so a run still queued by then was taken by one that died. The queue itself would
 * notice only after a minute.
 */
const PENDING = new Set(['waiting', 'delayed', 'prioritized', 'waiting-children']);

export function openQueues(backend: QueueBackend, onError: (error: Error) => void): Queues {
  const open = (name: string) => backend.openQueue(name).on('error', onError);
  const runQueues = new Map<string, RunQueue>();
  const runQueue = (name: string): RunQueue => {
    const known = runQueues.get(name);
    if (known) return known;
    const opened = openRunQueue(open(name));
    runQueues.set(name, opened);
    return opened;
  };
  // A host's queue is opened when the first work for it comes.
  const queueFor = ({ kind, host }: Dispatch): RunQueue =>
    runQueue(host === null ? RUN_QUEUES[kind] : hostQueue(RUN_QUEUES[kind], host));
  const all = [
    ...[...new Set(Object.values(RUN_QUEUES))].map((name) => runQueue(name).queue),
    open(HOUSEKEEPING_QUEUE),
    open(TIMEOUT_WATCH_QUEUE),
  ];

  return {
    backend,
    all,
    withHosts: (hosts) => [
      ...all,
      ...hosts.map((host) => runQueue(hostQueue(RUN_QUEUES.checkpoint, host)).queue),
    ],
    enqueueRun: async (dispatch, origin) => {
      const data: RunJobData = { runId: dispatch.id, agentName: dispatch.agentName, origin };
      const name = `${dispatch.kind} ${dispatch.agentName}`;
      const added = queueFor(dispatch).add({
        name,
        data,
        opts: { jobId: jobIdOf(dispatch) },
      });
      await withTimeout(added, TIMEOUT_MS);
    },
    isPending: async (dispatch) => {
      const state = queueFor(dispatch).queue.getJobState(jobIdOf(dispatch));
      return PENDING.has(await withTimeout(state, TIMEOUT_MS));
    },
    close: async () => {
      const opened = new Set([...all, ...[...runQueues.values()].map(({ queue }) => queue)]);
      await Promise.allSettled([...opened].map((queue) => queue.close()));
    },
  };
}

function openRunQueue(queue: Queue): RunQueue {
  return { queue, add: createBatcher({ max: 100, send: (jobs) => queue.addBulk(jobs) }) };
}

/**
 * The dispatch number is part of the id because the queue ignores an id that it still keeps, also
 * that of a finished job: a run that must be dispatched again needs a new one.
 */
function jobIdOf({ id, dispatch }: Dispatch): string {
  return `${id}-${dispatch}`;
}
