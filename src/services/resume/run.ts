import type { RunResult } from '../../db/queries/run-claims.ts';
import { PULL } from '../../db/queries/spawners.ts';
import { giveUpPending, noteSpawnFailure } from '../../db/queries/session-resume.ts';
import type { Run } from '../../db/schema.ts';
import { newPass } from '../checkpoints/run.ts';
import { withScratch } from '../checkpoints/store.ts';
import type { StepOutcome } from '../runs/run-step.ts';
import { runSteps } from '../runs/run-steps.ts';
import { summarize } from '../runs/summarize.ts';
import type { ResumeDeps } from './deps.ts';
import type { ResumePass } from './pass.ts';
import { isWrong, restoreStep } from './restore.ts';
import { resumeSteps } from './steps.ts';

/** Brings one pending session to life. Made again after a worker died, it goes on from the rows. */
export async function runResume(
  deps: ResumeDeps,
  run: Run,
  signal: AbortSignal,
): Promise<RunResult> {
  return await withScratch(deps, async (folder) => {
    const pass: ResumePass = {
      deps,
      run,
      folder,
      successor: undefined,
      spawner: PULL,
      takeover: null,
      predecessor: undefined,
      saving: newPass(deps, run, folder),
      from: undefined,
    };
    const outcomes = await runSteps(resumeSteps, pass, signal);
    const failed = outcomes.find(({ status }) => status === 'error');
    if (failed && pass.successor) await settle(pass, pass.successor.id, failed);
    return { ...summarize(outcomes), nextHeartbeatSeconds: null };
  });
}

/** Files that are not what was saved are never gone on from; anything else is tried again. */
async function settle(pass: ResumePass, id: string, failed: StepOutcome): Promise<void> {
  const { db, log, retentionDays } = pass.deps;
  const error = failed.failure ?? 'It could not be started.';
  const failure = { id, runId: pass.run.id, error };
  if (failed.name === restoreStep.name && isWrong(failed)) {
    const refused = { ...failure, reason: 'restore_refused', retentionDays };
    if (!(await giveUpPending(db, refused))) return;
    log.error({ sessionId: id, error }, 'session needs attention: its work was not restored');
    return;
  }
  if (await noteSpawnFailure(db, failure)) log.warn({ sessionId: id, error }, 'resume failed');
}
