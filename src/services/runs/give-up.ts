import type { Transaction } from 'kysely';
import { endGivenUp, lockGivenUp } from '../../db/queries/abandoned-runs.ts';
import type { Db } from '../../db/connect.ts';
import type { Dispatch } from '../../db/queries/run-claims.ts';
import { noteResumeGivenUp } from '../../db/queries/session-resume.ts';
import type { Database, Run, RunKind } from '../../db/schema.ts';
import type { Log } from '../../log.ts';
import { settleCheckpoint } from '../checkpoints/give-up.ts';
import { ended, type Settle } from './settle.ts';

export type GiveUpOptions = {
  db: Db;
  log: Log;
  /** A run whose worker died this many times is given up. */
  maxDeaths: number;
  /** Most runs that are given up at once. */
  limit: number;
  /** Days that a checkpoint is kept where its work did not succeed and the policy does not say. */
  retentionDays: number;
};

export type GaveUp = {
  ids: string[];
  /** Runs that were recorded in their place and are to be handed to the queue. */
  runs: Dispatch[];
};

/**
 * Ends runs that killed every worker that took them. Each in one transaction with what waits for it:
 * what was accepted is recorded, and whoever depends on it is told. One that cannot be ended does not
 * hold up the others.
 */
export async function giveUpAbandoned(options: GiveUpOptions): Promise<GaveUp> {
  const gaveUp: GaveUp = { ids: [], runs: [] };
  const failed: string[] = [];
  while (gaveUp.ids.length < options.limit) {
    let run: Run | undefined;
    try {
      const runs = await options.db.transaction().execute(async (trx) => {
        run = await lockGivenUp(trx, { maxDeaths: options.maxDeaths, except: failed });
        return run && (await giveUp(trx, run, options));
      });
      if (!run || !runs) break;
      gaveUp.ids.push(run.id);
      gaveUp.runs.push(...runs);
    } catch (error) {
      if (!run) throw error;
      failed.push(run.id);
      options.log.error({ err: error, runId: run.id }, 'a run could not be given up; tried again');
    }
  }
  return gaveUp;
}

async function giveUp(
  trx: Transaction<Database>,
  run: Run,
  options: GiveUpOptions,
): Promise<Dispatch[]> {
  const { maxDeaths } = options;
  const text =
    `This ${run.kind} was begun ${maxDeaths} times and never finished, so it was given up: each ` +
    "time its worker died or was cut off. Look in the workers' logs for its run id; ";
  const { runs = [], ...result } = await SETTLE[run.kind](trx, run, { ...options, text });
  await endGivenUp(trx, { id: run.id, maxDeaths, ...result });
  return runs;
}

const SETTLE: Record<RunKind, Settle> = {
  heartbeat: async (_trx, _run, { text }) => ended(`${text}the next heartbeat makes a new pass.`),
  checkpoint: settleCheckpoint,
  resume: async (trx, run, { text }) => {
    const told = ended(`${text}its session is tried again, and flagged if that fails as well.`);
    await noteResumeGivenUp(trx, { id: run.session_id ?? '', runId: run.id, error: told.summary });
    return told;
  },
  prune: async (_trx, _run, { text }) => ended(`${text}what is left is tried again later.`),
};
