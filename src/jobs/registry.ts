import type { JobDefinition } from './define.ts';
import { type HeartbeatJobDeps, heartbeatJob } from './heartbeat.ts';
import { type HousekeepingDeps, housekeepingJob } from './housekeeping.ts';
import { type SessionWorkDeps, sessionWorkJob } from './session-work.ts';
import { type TimeoutWatchDeps, timeoutWatchJob } from './timeout-watch.ts';

export type JobDeps = HeartbeatJobDeps & HousekeepingDeps & TimeoutWatchDeps & SessionWorkDeps;

/** A job whose payload is still to be checked against its schema. */
export type RegisteredJob = {
  queue: string;
  perHost: boolean;
  concurrency: number | undefined;
  run(deps: JobDeps, data: unknown, signal: AbortSignal): Promise<void>;
};

function register<Data>(definition: JobDefinition<Data, JobDeps>): RegisteredJob {
  return {
    queue: definition.queue,
    perHost: definition.perHost ?? false,
    concurrency: definition.concurrency,
    run: (deps, data, signal) => definition.run(deps, definition.schema.parse(data), signal),
  };
}

/** Every job there is. A queue that no job serves, or two, is refused at start. */
export const jobs: readonly RegisteredJob[] = [
  register(heartbeatJob),
  register(sessionWorkJob),
  register(housekeepingJob),
  register(timeoutWatchJob),
];

export function checkRegistry(registered: readonly RegisteredJob[], queues: string[]): void {
  const served = registered.map((job) => job.queue);
  const twice = served.filter((queue, index) => served.indexOf(queue) !== index);
  const unserved = queues.filter((queue) => !served.includes(queue));
  const unknown = served.filter((queue) => !queues.includes(queue));
  const problems = [
    ...twice.map((queue) => `queue "${queue}" has two jobs`),
    ...unserved.map((queue) => `queue "${queue}" has no job`),
    ...unknown.map((queue) => `job for queue "${queue}", which is never opened`),
  ];
  if (problems.length > 0) throw new Error(`the job registry is wrong: ${problems.join('; ')}`);
}
