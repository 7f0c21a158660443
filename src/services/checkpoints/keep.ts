import type { Transaction } from 'kysely';
import {
  type CheckpointRow,
  findCheckpointOfRun,
  findLastWork,
  insertCheckpoint,
} from '../../db/queries/checkpoints.ts';
import type { Database, Run } from '../../db/schema.ts';
import { newId } from '../ids.ts';

/** Whether somebody asked for the checkpoint, and was told that it is accepted. */
export const wasSent = ({ input }: Run): boolean => input.trigger !== undefined;

/**
 * Records what was accepted with a checkpoint whose files could not be saved: the reasoning, and why
 * the files are missing. Twice is harmless: a run makes one.
 *
 * @returns undefined where nothing was accepted, or its session is gone
 */
export async function keepAccepted(
  trx: Transaction<Database>,
  run: Run,
  options: { warning: string; retentionDays: number },
): Promise<CheckpointRow | undefined> {
  const { id: runId, input, session_id: sessionId } = run;
  if (input.trigger === undefined || sessionId === null) return undefined;
  // Whose sender captures its files itself lacks none.
  const whole = input.capture === false;
  const made = await insertCheckpoint(trx, {
    id: newId(),
    sessionId,
    runId,
    trigger: input.trigger,
    turn: input.turn ?? null,
    reasoning: input.reasoning ?? null,
    work: (whole && (await findLastWork(trx, sessionId))) || null,
    notCaptured: [],
    warnings: [...(input.upload?.warnings ?? []), ...(whole ? [] : [options.warning])],
    bundleId: null,
    acceptedBy: runId,
    retentionDays: options.retentionDays,
  });
  return made ?? (await findCheckpointOfRun(trx, runId));
}
