import { Client } from 'pg';
import { until } from './until.ts';

export type Hold = {
  /** Waits until a run is held; runs that begin together share one statement, and so one wait. */
  holds(): Promise<void>;
  /** Fails the statements of those that are held now. */
  cancel(): Promise<void>;
  release(): Promise<void>;
};

const KEY = 4700;

/**
 * Holds every run in its first step, `load agent`, until `release`: the step, which alone reads an
 * agent's policy, then waits for a lock in PostgreSQL that we have. Everything else goes on, so
 * heartbeats are accepted. The step itself gives up after 5 s. For a database of the test's own.
 */
export async function holdRuns(databaseUrl: string): Promise<Hold> {
  const client = new Client({ connectionString: databaseUrl });
  // A database that the test restarts takes this connection along.
  client.on('error', () => undefined);
  await client.connect();
  await client.query('SELECT pg_advisory_lock($1)', [KEY]);
  const prepared = await client.query("SELECT to_regclass('held_agents') IS NOT NULL AS done");
  if (!prepared.rows[0].done) await client.query(PREPARE);

  const waiting = async (): Promise<number[]> =>
    (await client.query(WAITING)).rows.map(({ pid }) => pid);
  return {
    holds: async () =>
      void (await until('a run is held', async () => (await waiting()).length > 0)),
    cancel: async () => {
      for (const pid of await waiting()) await client.query('SELECT pg_cancel_backend($1)', [pid]);
    },
    release: () => client.end(),
  };
}

// STABLE, so that a query which does not ask for the policy never calls it.
const PREPARE = `
  CREATE FUNCTION hold(value jsonb) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
  BEGIN
    PERFORM pg_advisory_xact_lock_shared(${KEY});
    RETURN value;
  END $$;
  ALTER TABLE agents RENAME TO held_agents;
  CREATE VIEW agents AS
    SELECT id, name, hold(policy) AS policy, paused, created_at, updated_at FROM held_agents`;

const WAITING = `
  SELECT locks.pid FROM pg_locks locks JOIN pg_database ON pg_database.oid = locks.database
  WHERE datname = current_database() AND locktype = 'advisory' AND objid = ${KEY} AND NOT granted`;
