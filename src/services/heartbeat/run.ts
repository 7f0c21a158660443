import type { RunResult } from '../../db/queries/run-claims.ts';
import type { Run } from '../../db/schema.ts';
import { runStep, type StepOutcome } from './run-step.ts';
import type { HeartbeatDeps, Pass, Step } from './step.ts';
import { summarize } from './summarize.ts';

/**
 * Makes one pass: every step in order, each within its own deadline. After a critical failure the
 * rest is skipped. Steps can be repeated, so a pass that died anywhere is simply made again.
 */
export async function runHeartbeat(
  deps: HeartbeatDeps,
  steps: readonly Step[],
  run: Run,
  signal: AbortSignal,
): Promise<RunResult> {
  const pass: Pass = { deps, run, agent: undefined };
  const outcomes: StepOutcome[] = [];
  let failed = false;
  for (const step of steps) {
    if (failed) {
      outcomes.push({ name: step.name, status: 'skipped', durationMs: 0, report: {} });
      continue;
    }
    const outcome = await runStep(step, pass, signal);
    outcomes.push(outcome);
    failed = outcome.status === 'error';
  }
  const nextHeartbeatSeconds = pass.agent?.policy.heartbeatSeconds ?? deps.heartbeatSeconds;
  return { ...summarize(outcomes), nextHeartbeatSeconds };
}
