import type { Pool } from 'pg';
import type { Pass, PassResult } from './types.ts';

/** What a plain job queue carries for one pass. The id names the answer, not the job. */
export type Payload = { id: string; pass: Pass };

export type Results = {
  /** One statement, so one commit: the step's result and the pass's. Resolves once on record. */
  record(payload: Payload, step: { tick: number }): Promise<PassResult>;
  count(): Promise<number>;
};

/** The record of results, which a job queue does not keep by itself. */
export async function createResults(pool: Pool): Promise<Results> {
  await pool.query(`CREATE TABLE results (
    id uuid PRIMARY KEY,
    agent_name text NOT NULL,
    step jsonb NOT NULL,
    result jsonb NOT NULL,
    finished_at timestamptz NOT NULL DEFAULT now())`);
  const insert = {
    name: 'record-result',
    text: 'INSERT INTO results (id, agent_name, step, result) VALUES ($1, $2, $3, $4)',
  };
  return {
    record: async ({ id, pass }, step) => {
      const result: PassResult = { status: 'ok', tick: step.tick };
      await pool.query({ ...insert, values: [id, pass.agentName, step, result] });
      return result;
    },
    count: async () => {
      const { rows } = await pool.query<{ n: number }>('SELECT count(*)::int AS n FROM results');
      return rows[0]?.n ?? 0;
    },
  };
}
