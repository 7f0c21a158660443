import type { Queue } from 'bullmq';
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
  const runQueues = new Map<string, Queue>();
  const runQueue = (name: string): Queue => {
    const known = runQueues.get(name);
    if (known) return known;
    const opened = open(name);
    runQueues.set(name, opened);
    return opened;
  };
  // A host's queue is opened when the first work for it comes.
  const queueFor = ({ kind, host }: Dispatch): Queue =>
    runQueue(host === null ? RUN_QUEUES[kind] : hostQueue(RUN_QUEUES[kind], host));
  const all = [
    ...[...new Set(Object.values(RUN_QUEUES))].map((name) => runQueue(name)),
    open(HOUSEKEEPING_QUEUE),
    open(TIMEOUT_WATCH_QUEUE),
  ];

  return {
    backend,
    all,
    withHosts: (hosts) => [
      ...all,
      ...hosts.map((host) => runQueue(hostQueue(RUN_QUEUES.checkpoint, host))),
    ],
    enqueueRun: async (dispatch, origin) => {
      const { ahead = 0 } = dispatch;
      const data: RunJobData = { runId: dispatch.id, agentName: dispatch.agentName, origin };
      const name = `${dispatch.kind} ${dispatch.agentName}`;
      // One by one: on PostgreSQL, BullMQ's bulk form creates two temporary tables a call.
      const added = queueFor(dispatch).add(name, data, {
        jobId: jobIdOf(dispatch),
        ...(ahead > 0 && { priority: Math.min(ahead, MAX_PRIORITY) }),
      });
      await withTimeout(added, TIMEOUT_MS);
    },
    isPending: async (dispatch) => {
      const state = queueFor(dispatch).getJobState(jobIdOf(dispatch));
      return PENDING.has(await withTimeout(state, TIMEOUT_MS));
    },
    close: async () => {
      const opened = new Set([...all, ...runQueues.values()]);
      await Promise.allSettled([...opened].map((queue) => queue.close()));
    },
  };
}

/** BullMQ takes what has none first, then the lowest: the first run of every agent, then the second ones. */
const MAX_PRIORITY = 2 ** 21 - 1;

/** Numbers what is handed over together, so that agents take turns. */
export function inTurns(dispatches: Dispatch[]): Dispatch[] {
  const counts = new Map<string, number>();
  return dispatches.map((dispatch) => {
    const ahead = counts.get(dispatch.agentName) ?? 0;
    counts.set(dispatch.agentName, ahead + 1);
    return { ...dispatch, ahead };
  });
}

/**
 * The dispatch number is part of the id because the queue ignores an id that it still keeps, also
 * that of a finished job: a run that must be dispatched again needs a new one.
 */
function jobIdOf({ id, dispatch }: Dispatch): string {
  return `${id}-${dispatch}`;
}
