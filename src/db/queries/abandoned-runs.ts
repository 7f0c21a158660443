import { sql, type Transaction } from 'kysely';
import type { ErrorCode } from '../../errors.ts';
import type { Db } from '../connect.ts';
import type { Database, Run, RunOutcome } from '../schema.ts';
import type { Dispatch } from './run-claims.ts';
import { route } from './worker-hosts.ts';

/** SQL: the worker that has the run let its lease pass. */
const abandoned = sql`finished_at IS NULL AND status = 'running' AND claim_expires_at < now()`;

/** Puts runs back in the queue whose worker died, unless it is the death number `maxDeaths`. */
export async function requeueAbandoned(
  db: Db,
  options: { maxDeaths: number; limit: number },
): Promise<Dispatch[]> {
  const { rows } = await sql<Dispatch>`
    UPDATE runs SET
      status = 'queued', claimed_by = NULL, claim_expires_at = NULL, deaths = deaths + 1,
      dispatch = dispatch + 1, dispatched_at = now()
    WHERE id IN (
      SELECT id FROM runs WHERE ${abandoned} AND deaths + 1 < ${options.maxDeaths}
      LIMIT ${options.limit} FOR UPDATE SKIP LOCKED
    )
    RETURNING id, kind, agent_name AS "agentName", dispatch, ${route} AS host`.execute(db);
  return rows;
}

/** One run that killed `maxDeaths` workers, locked until the transaction ends. */
export async function lockGivenUp(
  trx: Transaction<Database>,
  options: { maxDeaths: number; except: string[] },
): Promise<Run | undefined> {
  const { rows } = await sql<Run>`
    SELECT * FROM runs
    WHERE ${abandoned} AND deaths + 1 >= ${options.maxDeaths}
      AND id <> ALL(${options.except}::uuid[])
    LIMIT 1 FOR UPDATE SKIP LOCKED`.execute(trx);
  return rows[0];
}

export type GivenUp = {
  status: RunOutcome;
  summary: string;
  warnings: string[];
  errors: string[];
  errorCode: ErrorCode | null;
};

/** Ends a run that was locked to be given up, the last death counted. */
export async function endGivenUp(
  trx: Transaction<Database>,
  { id, maxDeaths, ...result }: GivenUp & { id: string; maxDeaths: number },
): Promise<void> {
  await trx
    .updateTable('runs')
    .set({
      status: result.status,
      summary: result.summary,
      warnings: JSON.stringify(result.warnings),
      errors: JSON.stringify(result.errors),
      error_code: result.errorCode,
      finished_at: sql<Date>`now()`,
      claim_expires_at: null,
      deaths: maxDeaths,
    })
    .where('id', '=', id)
    .execute();
}
