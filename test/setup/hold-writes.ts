import { Client } from 'pg';
import { until } from './until.ts';

export type HeldWrites = {
  /** Waits until a write is held. */
  holds(): Promise<void>;
  /** Ends the connections that wait, as their server would in the end whose client was killed. */
  drop(): Promise<void>;
  release(): Promise<void>;
};

let lastKey = 4701;

/**
 * Holds writes to a table that fit `when` (SQL about NEW and, for updates, OLD) until `release`: the
 * worker stands still at that very step. For a database of the test's own.
 */
export async function holdWrites(
  databaseUrl: string,
  write: { table: string; event: 'INSERT' | 'UPDATE'; when?: string },
): Promise<HeldWrites> {
  const client = new Client({ connectionString: databaseUrl });
  client.on('error', () => undefined);
  await client.connect();
  const key = (lastKey += 1);
  await client.query('SELECT pg_advisory_lock($1)', [key]);
  await client.query(`
    CREATE FUNCTION hold_${key}() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM pg_advisory_xact_lock_shared(${key});
      RETURN NEW;
    END $$;
    CREATE TRIGGER hold_${key} BEFORE ${write.event} ON ${write.table} FOR EACH ROW
      WHEN (${write.when ?? 'true'}) EXECUTE FUNCTION hold_${key}()`);
  const waiting = async (): Promise<number[]> => {
    const { rows } = await client.query(
      `SELECT pid FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
       WHERE datname = current_database() AND locktype = 'advisory' AND objid = $1 AND NOT granted`,
      [key],
    );
    return rows.map(({ pid }) => pid);
  };
  return {
    holds: async () =>
      void (await until('a write is held', async () => (await waiting()).length > 0)),
    drop: async () => {
      for (const pid of await waiting()) {
        await client.query('SELECT pg_terminate_backend($1)', [pid]);
      }
      await until('they are gone', async () => (await waiting()).length === 0);
    },
    release: () => client.end(),
  };
}
