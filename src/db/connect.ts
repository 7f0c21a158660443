import { Kysely, PostgresDialect } from 'kysely';
import { Pool, types } from 'pg';
import { clientClass } from './client.ts';
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
   * Whether a connection is a session of its own, which keeps settings and prepared statements. Not
   * through a pooler in transaction mode: it gives the session to others between transactions.
   */
  session?: boolean;
  /** How long a statement may take, in milliseconds; without it for ever, as migrations need. */
  statementMs?: number;
  /** Server settings of every connection of the pool, e.g. `{ search_path: 'bullmq' }`. */
  settings?: Record<string, string>;
  onError: (error: Error) => void;
};

/**
 * The plan of a prepared statement is kept, and must not be one for a table that was still empty:
 * reading all of it is cheapest then, and ruinous soon after. Everything asked has its index.
 */
const PLAN_SETTINGS = {
  enable_seqscan: 'off',
  // What must read a table all the same looks so dear then that the server would compile it.
  jit: 'off',
};

/** The server first has the time to end a statement that takes too long. */
const ANSWER_GRACE_MS = 2000;

/**
 * A client that vanished in the middle of a transaction must not keep its locks: the server would
 * find out hours later.
 */
const IDLE_IN_TRANSACTION_MS = 60_000;

/** Prepared statements end with their connection, so one that is idle is kept for a while. */
const IDLE_MS = 60_000;

/** How soon an idle connection is probed. Some wait for notifications and would wait in vain. */
export const KEEP_ALIVE_MS = 10_000;

/** How long a statement of a service may take: far more than any should. */
export const STATEMENT_MS = 30_000;

/**
 * Opens a pool. It connects lazily, so a database that is down shows at the first query.
 * Idle connections that break are replaced; `onError` hears of them.
 */
export function openPool(options: PoolOptions): Pool {
  const { session = false, statementMs } = options;
  const settings = Object.entries({
    ...(session && PLAN_SETTINGS),
    ...(session && statementMs !== undefined && timeouts(statementMs)),
    ...options.settings,
  }).map(([name, value]) => `-c ${name}=${value}`);
  const pool = new Pool({
    Client: clientClass({
      prepare: session,
      answerMs: statementMs === undefined ? undefined : statementMs + ANSWER_GRACE_MS,
    }),
    types: parsers,
    connectionString: options.url,
    max: options.max,
    application_name: options.applicationName,
    connectionTimeoutMillis: 5000,
    idleTimeoutMillis: IDLE_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
    ...(settings.length > 0 && { options: settings.join(' ') }),
  });
  pool.on('error', options.onError);
  // While a connection is in use, the pool does not listen to it, and an error event that nobody
  // hears ends the process. Whoever uses the connection learns of the error from its query.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

const timeouts = (statementMs: number): Record<string, string> => ({
  statement_timeout: String(statementMs),
  idle_in_transaction_session_timeout: String(IDLE_IN_TRANSACTION_MS),
});

/** A Kysely over the pool. Destroying it ends the pool. */
export function openDb(pool: Pool): Db {
  return new Kysely<Database>({ dialect: new PostgresDialect({ pool }) });
}
