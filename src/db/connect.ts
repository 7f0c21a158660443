import { Kysely, PostgresDialect } from 'kysely';
import { Client, Pool, types } from 'pg';
import { PreparingClient } from './client.ts';
import type { Database } from './schema.ts';

export type Db = Kysely<Database>;

// Counts and epochs are bigint in SQL; all of ours fit a double, and strings would surprise. Set
// for our own pools only: other libraries in the process keep the driver's defaults.
const parsers = {
  getTypeParser: ((oid: number, format?: 'text') =>
    oid === types.builtins.INT8
      ? Number
      : types.getTypeParser(oid, format)) as typeof types.getTypeParser,
};

export type PoolOptions = {
  url: string;
  /** Most connections that the pool opens. */
  max: number;
  /** Shown in pg_stat_activity. */
  applicationName: string;
  /**
   * Whether statements that come again are prepared. Not through a pooler in transaction mode,
   * which hands a connection to someone else between two statements.
   */
  prepare?: boolean;
  /** Server settings of every connection of the pool, e.g. `{ search_path: 'bullmq' }`. */
  settings?: Record<string, string>;
  onError: (error: Error) => void;
};

/**
 * The plan of a prepared statement is kept, and must not be one for a table that was still empty:
 * reading all of it is cheapest then, and ruinous soon after. Everything asked has its index.
 */
const PLAN_SETTINGS = { enable_seqscan: 'off' };

/** Prepared statements end with their connection, so one that is idle is kept for a while. */
const IDLE_MS = 60_000;

/**
 * Opens a pool. It connects lazily, so a database that is down shows at the first query.
 * Idle connections that break are replaced; `onError` hears of them.
 */
export function openPool(options: PoolOptions): Pool {
  const settings = Object.entries({
    ...(options.prepare && PLAN_SETTINGS),
    ...options.settings,
  }).map(([name, value]) => `-c ${name}=${value}`);
  const pool = new Pool({
    Client: options.prepare ? PreparingClient : Client,
    types: parsers,
    connectionString: options.url,
    max: options.max,
    application_name: options.applicationName,
    connectionTimeoutMillis: 5000,
    idleTimeoutMillis: IDLE_MS,
    keepAlive: true,
    ...(settings.length > 0 && { options: settings.join(' ') }),
  });
  pool.on('error', options.onError);
  // While a connection is in use, the pool does not listen to it, and an error event that nobody
  // hears ends the process. Whoever uses the connection learns of the error from its query.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

/** A Kysely over the pool. Destroying it ends the pool. */
export function openDb(pool: Pool): Db {
  return new Kysely<Database>({ dialect: new PostgresDialect({ pool }) });
}
