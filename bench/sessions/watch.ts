import type { Pool } from 'pg';
import { migrate } from '../../src/db/migrate.ts';
import { openDb, openPool } from '../../src/db/connect.ts';
import { createLog } from '../../src/log.ts';
import { defaultSessionSettings } from '../../src/services/sessions/settings.ts';
import { watchSessions } from '../../src/services/sessions/watch.ts';
import { median } from '../measure/stats.ts';

export type WatchFigures = {
  live: number;
  due: number;
  /** Milliseconds of one look, median. */
  ms: number;
  /** Rows of `sessions` that one look read, by the server's own count. */
  rowsRead: number;
};

const ROUNDS = 15;
/** As the service's own watch takes them. */
const BATCH = 200;

/** Time and rows of one look of the timeout watch, while sessions grow in number. */
export async function measureWatch(url: string, counts: number[]): Promise<WatchFigures[]> {
  await migrate(url, { queues: false });
  const pool = openPool({ url, max: 2, applicationName: 'bench', onError: console.error });
  const db = openDb(pool);
  const log = createLog({ level: 'silent', service: 'bench' });
  const look = () => watchSessions({ db, log, settings: defaultSessionSettings, batch: BATCH });
  const figures: WatchFigures[] = [];
  try {
    await pool.query(`INSERT INTO agents (id, name) VALUES (gen_random_uuid(), 'bench')`);
    let live = 0;
    for (const count of counts) {
      await addLive(pool, count - live);
      live = count;
      await pool.query('VACUUM ANALYZE sessions');
      for (const due of [0, 10, 1000]) {
        figures.push({ live, due, ...(await measureLook(pool, due, look)) });
      }
    }
  } finally {
    await db.destroy();
  }
  return figures;
}

async function measureLook(
  pool: Pool,
  due: number,
  look: () => Promise<unknown>,
): Promise<{ ms: number; rowsRead: number }> {
  const times: number[] = [];
  const rows: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    await addDue(pool, due);
    const before = await rowsRead(pool);
    const started = performance.now();
    await look();
    times.push(performance.now() - started);
    rows.push((await rowsRead(pool)) - before);
    // What was due is settled, so that the next round finds only its own.
    for (let rest = due; rest > 0; rest -= BATCH) await look();
    await pool.query(`DELETE FROM sessions WHERE note = 'due' OR resumed_from IS NOT NULL`);
    await pool.query('DELETE FROM runs');
  }
  return { ms: median(times), rowsRead: median(rows) };
}

async function rowsRead(pool: Pool): Promise<number> {
  await pool.query('SELECT pg_stat_force_next_flush()');
  await pool.query('SELECT 1');
  const { rows } = await pool.query<{ read: number }>(
    `SELECT (seq_tup_read + coalesce(idx_tup_fetch, 0))::int AS read
     FROM pg_stat_user_tables WHERE relname = 'sessions'`,
  );
  return rows[0]?.read ?? 0;
}

const insert = (lease: string, note: string) => `
  INSERT INTO sessions (id, agent_id, agent_name, root_id, status, objective, checkpoint_branch,
    lease_seconds, start_seconds, lease_expires_at, started_at, note)
  SELECT fresh.id, agents.id, agents.name, fresh.id, 'running', 'bench', 'checkpoint/bench/' || fresh.id,
    60, 120, ${lease}, now(), '${note}'
  FROM agents, (SELECT uuidv7() AS id FROM generate_series(1, $1)) AS fresh`;

const addLive = (pool: Pool, count: number) =>
  pool.query(insert(`now() + interval '1 day' * (1 + random())`, 'live'), [count]);
const addDue = (pool: Pool, count: number) =>
  pool.query(insert(`now() - interval '1 second'`, 'due'), [count]);
