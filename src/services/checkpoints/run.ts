import type { RunResult } from '../../db/queries/run-claims.ts';
import type { Run } from '../../db/schema.ts';
import { runSteps } from '../runs/run-steps.ts';
import { summarize } from '../runs/summarize.ts';
import type { CheckpointDeps } from './deps.ts';
import { keepAccepted } from './keep.ts';
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
    const pass = newPass(deps, run, folder);
    const outcomes = await runSteps(checkpointSteps, pass, signal);
    const result = { ...summarize(outcomes), nextHeartbeatSeconds: null };
    const failed = outcomes.find(({ status }) => status === 'error');
    if (!failed || pass.checkpoint) return result;
    return await keepSaid(pass, result, failed.failure ?? 'it failed.');
  });
}

/**
 * What was said with a checkpoint is recorded also where its files could not be. Who sent a bundle is
 * told of that failure, and can send it again.
 */
async function keepSaid(
  { deps, run }: CheckpointPass,
  result: RunResult,
  failure: string,
): Promise<RunResult> {
  if (!run.input.reasoning) return result;
  const warning = `The files were not saved: ${failure}`;
  const options = { warning, retentionDays: deps.retentionDays };
  const kept = await deps.db.transaction().execute((trx) => keepAccepted(trx, run, options));
  if (!kept || run.input.upload) return result;
  const summary = `Saved checkpoint ${kept.number} without files. ${warning}`;
  const warnings = [...result.warnings, warning];
  return { ...result, status: 'warning', summary, warnings, errors: [], errorCode: null };
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
