import type { Db } from '../../db/connect.ts';
import { type Dispatch, releaseClaim, type RunResult } from '../../db/queries/run-claims.ts';
import type { Run } from '../../db/schema.ts';
import type { Claims } from './claims.ts';

export type ExecuteDeps = { db: Db; claims: Claims };

export type Executed =
  /** The result is written, and this is the row; whoever waits for it can have it. */
  | { kind: 'finished'; run: Run }
  /** Another worker has the run or finished it. */
  | { kind: 'not-ours' }
  /** We were told to stop: the run is back in the queue and wants to be dispatched. */
  | { kind: 'released'; dispatch: Dispatch };

/**
 * Does the work of one run under a claim: claim, work, result, each guarded by the row's state.
 * `signal` aborts on drain; the run is then given back at once rather than left to its lease.
 */
export async function executeRun(
  { db, claims }: ExecuteDeps,
  runId: string,
  signal: AbortSignal,
  work: (run: Run, signal: AbortSignal) => Promise<RunResult>,
): Promise<Executed> {
  signal.throwIfAborted();
  const claim = await claims.claim(runId);
  if (!claim) return { kind: 'not-ours' };
  const key = { id: runId, epoch: claim.run.epoch };
  const either = AbortSignal.any([signal, claim.signal]);
  try {
    const result = await work(claim.run, either);
    const run = await claims.finish({ ...key, ...result });
    return run ? { kind: 'finished', run } : { kind: 'not-ours' };
  } catch (error) {
    if (!either.aborted) throw error;
    const dispatch = await releaseClaim(db, key);
    return dispatch ? { kind: 'released', dispatch } : { kind: 'not-ours' };
  } finally {
    claim.release();
  }
}
