import { Pool } from 'pg';
import { passOf } from './pass.ts';
import type { Contender } from './types.ts';

/** The floor of recording anything: one committed row per call, no queue, no worker. */
export const insert: Contender = {
  name: 'insert',
  title: 'bare INSERT … RETURNING',
  access: 'in process',
  start: async ({ databaseUrl, concurrency }) => {
    const pool = new Pool({ connectionString: databaseUrl, max: concurrency });
    await pool.query(`CREATE TABLE passes (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      agent_name text NOT NULL,
      tick integer NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now())`);
    const statement = {
      name: 'insert',
      text: 'INSERT INTO passes (agent_name, tick) VALUES ($1, $2) RETURNING tick',
    };
    return {
      call: async (i) => {
        const { agentName, tick } = passOf(i);
        const { rows } = await pool.query<{ tick: number }>({
          ...statement,
          values: [agentName, tick],
        });
        if (rows[0]?.tick !== i) throw new Error(`Row ${i} did not come back.`);
      },
      recorded: async () => {
        const { rows } = await pool.query<{ n: number }>('SELECT count(*)::int AS n FROM passes');
        return rows[0]?.n ?? 0;
      },
      stop: () => pool.end(),
    };
  },
};
