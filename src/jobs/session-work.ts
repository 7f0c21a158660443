import { z } from 'zod';
import type { RunKind, Run } from '../db/schema.ts';
import type { RunResult } from '../db/queries/run-claims.ts';
import { runCheckpoint } from '../services/checkpoints/run.ts';
import { inTurn } from '../services/checkpoints/turns.ts';
import { runPrune } from '../services/prune/run.ts';
import { runResume } from '../services/resume/run.ts';
import type { ResumeDeps } from '../services/resume/deps.ts';
import type { Claims } from '../services/runs/claims.ts';
import { executeRun } from '../services/runs/execute.ts';
import { defineJob } from './define.ts';
import { type Queues, RUN_QUEUES, type RunJobData } from './queues.ts';
import type { Gate, Slots } from './slots.ts';
import type { Wakeups } from './wakeups.ts';

export type SessionWorkDeps = {
  sessionWork: ResumeDeps;
  claims: Claims;
  queues: Queues;
  wakeups: Wakeups;
  slots: Slots;
  sessionGate: Gate;
};

type Work = (deps: ResumeDeps, run: Run, signal: AbortSignal) => Promise<RunResult>;

const WORK: Record<Exclude<RunKind, 'heartbeat'>, Work> = {
  checkpoint: runCheckpoint,
  resume: runResume,
  prune: runPrune,
};

/** Of this many places, per process. */
const PLACES = 4;

/** One agent's long work leaves a place for the others. */
export const PLACES_PER_AGENT = PLACES - 1;

/**
 * Runs a checkpoint, a resume or a prune: what works on a session, where its worktree is. Twice is
 * harmless: the second finds that the row is not queued.
 */
export const sessionWorkJob = defineJob({
  queue: RUN_QUEUES.checkpoint,
  perHost: true,
  concurrency: PLACES,
  schema: z.object({ runId: z.uuid(), agentName: z.string(), origin: z.string().nullable() }),
  run: (deps: SessionWorkDeps, job, signal) =>
    deps.slots.use(async (leave) => {
      const { runId: id, agentName } = job;
      if (!(await deps.sessionGate.enter({ id, agentName }, leave))) return;
      await execute(deps, job, signal).finally(() => deps.sessionGate.pass(agentName));
    }),
});

async function execute(
  deps: SessionWorkDeps,
  { runId, origin }: RunJobData,
  signal: AbortSignal,
): Promise<void> {
  const { sessionWork } = deps;
  const executed = await executeRun(
    { db: sessionWork.db, claims: deps.claims },
    runId,
    signal,
    async (run, runSignal) => {
      if (run.kind === 'heartbeat') throw new Error(`run ${run.id} is a heartbeat`);
      const work = WORK[run.kind];
      return await inTurn(sessionWork, run, () => work(sessionWork, run, runSignal));
    },
  );
  if (executed.kind === 'finished') deps.wakeups.answer(executed.run, origin);
  if (executed.kind === 'released') await deps.queues.enqueueRun(executed.dispatch, origin);
}
