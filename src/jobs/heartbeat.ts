import { z } from 'zod';
import {
  type Accepted,
  type AcceptHeartbeat,
  type HeartbeatRequest,
} from '../services/heartbeat/accept.ts';
import { runHeartbeat } from '../services/heartbeat/run.ts';
import type { HeartbeatDeps } from '../services/heartbeat/step.ts';
import { heartbeatSteps } from '../services/heartbeat/steps/index.ts';
import type { Claims } from '../services/runs/claims.ts';
import { executeRun } from '../services/runs/execute.ts';
import { defineJob } from './define.ts';
import { type Queues, RUN_QUEUES } from './queues.ts';
import type { Slots } from './slots.ts';
import type { Wakeups } from './wakeups.ts';

export type HeartbeatJobDeps = {
  heartbeat: HeartbeatDeps;
  claims: Claims;
  queues: Queues;
  wakeups: Wakeups;
  slots: Slots;
};

/** Runs one recorded heartbeat. Twice is harmless: the second finds that the row is not queued. */
export const heartbeatJob = defineJob({
  queue: RUN_QUEUES.heartbeat,
  schema: z.object({ runId: z.uuid(), agentName: z.string(), origin: z.string().nullable() }),
  run: (deps: HeartbeatJobDeps, { runId, origin }, signal) =>
    deps.slots.use(async (leave) => {
      const executed = await executeRun(
        { db: deps.heartbeat.db, claims: deps.claims },
        runId,
        signal,
        (run, runSignal) => runHeartbeat(deps.heartbeat, heartbeatSteps, run, runSignal, leave),
      );
      if (executed.kind === 'finished') deps.wakeups.answer(executed.run, origin);
      if (executed.kind === 'released') await deps.queues.enqueueRun(executed.dispatch, origin);
    }),
});

/**
 * Accepts a heartbeat: the row first, then the queue. If the queue cannot be reached the run is no
 * less accepted; the sweep enqueues it once the queue is back.
 */
export async function submitHeartbeat(
  deps: SubmitDeps,
  request: HeartbeatRequest,
): Promise<Accepted> {
  const accepted = await deps.accept(request);
  if (accepted.created) {
    const { agentName } = request;
    const dispatch = {
      id: accepted.runId,
      kind: 'heartbeat' as const,
      agentName,
      dispatch: 1,
      host: null,
      ahead: accepted.ahead,
    };
    void deps.queues.enqueueRun(dispatch, deps.origin).catch(deps.onEnqueueError);
  }
  return accepted;
}

export type SubmitDeps = {
  accept: AcceptHeartbeat;
  queues: Queues;
  /** The process that waits for the answer. */
  origin: string;
  onEnqueueError: (error: unknown) => void;
};
