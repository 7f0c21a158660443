import type { Transaction } from 'kysely';
import { addCheckpointWarnings, findCheckpointOfRun } from '../../db/queries/checkpoints.ts';
import { insertSessionRuns } from '../../db/queries/session-runs.ts';
import type { BundleUpload, Database, Run } from '../../db/schema.ts';
import { newId } from '../ids.ts';
import { ended, type Settle, type Settled } from '../runs/settle.ts';
import { keepAccepted, wasSent } from './keep.ts';

/** What was accepted with a checkpoint is recorded also where each worker died that took it. */
export const settleCheckpoint: Settle = async (trx, run, options) => {
  const { text, maxDeaths, retentionDays } = options;
  const why = `a worker died or was cut off ${maxDeaths} times at it. Look in the workers' logs for run ${run.id}.`;
  const made = await findCheckpointOfRun(trx, run.id);
  if (made) {
    const warning = `What makes the checkpoint more durable was not finished: ${why}`;
    await addCheckpointWarnings(trx, made.id, [warning]);
    return saved(`Saved checkpoint ${made.number}. ${warning}`, warning);
  }
  if (!wasSent(run)) {
    return ended(`${text}nothing was sent with it, and its files are where the session left them.`);
  }
  const { upload } = run.input;
  if (upload?.triedBy !== undefined) {
    return ended(`${text}what was said with its bundle was recorded when that was given up first.`);
  }
  const again = upload && (await verifyAgain(trx, run, upload));
  const warning = again
    ? `The bundle could not be verified: ${why} Run ${again.id} tries it once more, and makes a checkpoint of it.`
    : `The files could not be captured: ${why}`;
  const kept = await keepAccepted(trx, run, { warning, retentionDays });
  if (!kept) return ended(`${text}its session is no longer there.`);
  // Who sent a bundle learns that its files are not saved yet.
  if (again) return { ...ended(warning), errorCode: 'unavailable', runs: again.runs };
  return saved(`Saved checkpoint ${kept.number} without files. ${warning}`, warning);
};

const saved = (summary: string, warning: string): Settled => ({
  status: 'warning',
  summary,
  warnings: [warning],
  errors: [],
  errorCode: null,
});

/** Nobody else may have what a bundle holds: it gets another run, and no third one. */
async function verifyAgain(trx: Transaction<Database>, run: Run, upload: BundleUpload) {
  const id = newId();
  const { reasoning: _, ...rest } = run.input;
  const input = { ...rest, upload: { ...upload, triedBy: run.id } };
  const sessionId = run.session_id ?? '';
  const runs = await insertSessionRuns(trx, [
    { id, sessionId, kind: 'checkpoint', input, idempotencyKey: null, requestHash: null },
  ]);
  return { id, runs };
}
