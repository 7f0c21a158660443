import type { RunResult } from '../../db/queries/run-claims.ts';
import type { Run } from '../../db/schema.ts';
import { runSteps } from '../runs/run-steps.ts';
import { summarize } from '../runs/summarize.ts';
import type { CheckpointDeps } from './deps.ts';
import type { CheckpointPass } from './pass.ts';
import { checkpointSteps } from './steps.ts';
import { withScratch } from './store.ts';

/** Makes one checkpoint. Made again after a worker died, it goes on from what is recorded. */
export async function runCheckpoint(
  deps: CheckpointDeps,
  run: Run,
  signal: AbortSignal,
): Promise<RunResult> {
  return await withScratch(deps, async (folder) => {
    const outcomes = await runSteps(checkpointSteps, newPass(deps, run, folder), signal);
    return { ...summarize(outcomes), nextHeartbeatSeconds: null };
  });
}

export function newPass(deps: CheckpointDeps, run: Run, folder: string): CheckpointPass {
  return {
    deps,
    run,
    folder,
    session: undefined,
    uploaded: undefined,
    taken: undefined,
    failure: undefined,
    moved: false,
    checkpoint: undefined,
  };
}
