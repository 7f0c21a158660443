import type { RunResult } from '../../db/queries/run-claims.ts';
import type { Run } from '../../db/schema.ts';
import { runSteps } from '../runs/run-steps.ts';
import { summarize } from '../runs/summarize.ts';
import type { HeartbeatDeps, Pass, Step } from './step.ts';

/**
 * Makes one pass. Steps can be repeated, so a pass that died anywhere is simply made again.
 *
 * @param onWait called before the pass only waits for something
 */
export async function runHeartbeat(
  deps: HeartbeatDeps,
  steps: readonly Step[],
  run: Run,
  signal: AbortSignal,
  onWait = () => {},
): Promise<RunResult> {
  const pass: Pass = { deps, run, agent: undefined, onWait };
  const outcomes = await runSteps(steps, pass, signal);
  const nextHeartbeatSeconds = pass.agent?.policy.heartbeatSeconds ?? deps.heartbeatSeconds;
  return { ...summarize(outcomes), nextHeartbeatSeconds };
}
