import type { Transaction } from 'kysely';
import type { GivenUp } from '../../db/queries/abandoned-runs.ts';
import type { Dispatch } from '../../db/queries/run-claims.ts';
import type { Database, Run } from '../../db/schema.ts';

/** How a run ends that is given up, and the runs that are made in its place. */
export type Settled = GivenUp & { runs?: Dispatch[] };

/**
 * Tells what waits for a run that it is given up, in the transaction that ends it.
 *
 * @param options.text why it was given up, up to what comes of it
 */
export type Settle = (
  trx: Transaction<Database>,
  run: Run,
  options: { text: string; maxDeaths: number; retentionDays: number },
) => Promise<Settled>;

export const ended = (text: string): Settled => ({
  status: 'error',
  summary: text,
  warnings: [],
  errors: [text],
  errorCode: null,
});
