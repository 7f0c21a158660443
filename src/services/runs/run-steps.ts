import { runStep, type StepOutcome } from './run-step.ts';
import type { AnyPass, Step } from './step.ts';

/**
 * Runs every step in order, each within its own deadline. After a critical failure the rest is
 * skipped.
 */
export async function runSteps<Pass extends AnyPass>(
  steps: readonly Step<Pass>[],
  pass: Pass,
  signal: AbortSignal,
): Promise<StepOutcome[]> {
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
  return outcomes;
}
