import { isDatabaseAway } from '../../db/away.ts';
import type { StepStatus } from '../../db/schema.ts';
import { AppError, type ErrorCode } from '../../errors.ts';
import type { AnyPass, Step, StepReport } from './step.ts';

export type StepOutcome = {
  name: string;
  status: StepStatus;
  durationMs: number;
  report: StepReport;
  /** Why the step failed, in a sentence for the agent's owner. */
  failure?: string;
  /** The stable code of the failure. */
  code?: ErrorCode;
};

class StepTimeout extends Error {}

/**
 * Runs one step within its deadline. A failure of the step is part of the outcome. It throws only
 * where the pass itself cannot go on: it was stopped, by a drain or a lost claim, or the database
 * went away in a critical step. Such a pass has no result, and is made again.
 */
export async function runStep<Pass extends AnyPass>(
  step: Step<Pass>,
  pass: Pass,
  passSignal: AbortSignal,
): Promise<StepOutcome> {
  const started = performance.now();
  const outcome = (status: StepStatus, report: StepReport, failure?: string): StepOutcome => ({
    name: step.name,
    status,
    durationMs: Math.round(performance.now() - started),
    report,
    ...(failure !== undefined && { failure }),
  });
  try {
    passSignal.throwIfAborted();
    const report = await withDeadline(step, pass, passSignal);
    passSignal.throwIfAborted();
    if (report.skipped) return outcome('skipped', report);
    return outcome(report.warnings?.length ? 'warning' : 'ok', report);
  } catch (error) {
    passSignal.throwIfAborted();
    if (step.level === 'critical' && isDatabaseAway(error)) throw error;
    const failure = `${step.name}: ${explain(error, step, pass)}`;
    const code = error instanceof AppError ? error.code : 'internal';
    return { ...outcome(step.level === 'critical' ? 'error' : 'warning', {}, failure), code };
  }
}

/** The step is told to stop by its signal; if it does not listen, the pass goes on without it. */
async function withDeadline<Pass extends AnyPass>(
  step: Step<Pass>,
  pass: Pass,
  passSignal: AbortSignal,
): Promise<StepReport> {
  const controller = new AbortController();
  const stopped = Promise.withResolvers<never>();
  const stop = (reason: unknown) => {
    controller.abort(reason);
    stopped.reject(reason instanceof Error ? reason : new Error('stopped'));
  };
  const timer = setTimeout(() => stop(new StepTimeout()), step.timeoutMs);
  const onPassAbort = () => stop(passSignal.reason);
  passSignal.addEventListener('abort', onPassAbort);
  try {
    return await Promise.race([step.run(pass, controller.signal), stopped.promise]);
  } finally {
    clearTimeout(timer);
    passSignal.removeEventListener('abort', onPassAbort);
  }
}

function explain<Pass extends AnyPass>(error: unknown, step: Step<Pass>, pass: Pass): string {
  if (error instanceof StepTimeout) {
    return `not done within ${step.timeoutMs / 1000} s and left for the next ${pass.run.kind}.`;
  }
  if (error instanceof AppError) return error.message;
  pass.deps.log.error({ err: error, runId: pass.run.id, step: step.name }, 'step failed');
  return `failed unexpectedly. The next ${pass.run.kind} tries again; if it stays, look in the server's log for run ${pass.run.id}.`;
}
