import { randomBytes } from 'node:crypto';
import type { Pool } from 'pg';
import { openQueueBackend } from './jobs/backend.ts';
import { type Queues, openQueues } from './jobs/queues.ts';
import { jobs } from './jobs/registry.ts';
import { type WakeTransport, createWakeups, type Wakeups } from './jobs/wakeups.ts';
import { postgresTransport, redisTransport } from './jobs/wake-transports.ts';
import type { Config } from './config.ts';
import { assertAnswers } from './db/answers.ts';
import { type Db, openDb, openPool, STATEMENT_MS } from './db/connect.ts';
import type { Log } from './log.ts';
import { defaultSessionSettings, type SessionSettings } from './services/sessions/settings.ts';
import { type RunWaiters, createRunWaiters } from './services/runs/waiters.ts';
import { withTimeout } from './with-timeout.ts';

/** What every process opens: plain values, passed as arguments, closed in reverse. */
export type Deps = {
  config: Config;
  log: Log;
  /** Names this process: in claims, and as the address of its waiters. */
  instance: string;
  db: Db;
  queues: Queues;
  waiters: RunWaiters;
  wakeups: Wakeups;
  sessionSettings: SessionSettings;
  close(): Promise<void>;
};

/** How often waiting callers are looked up without a hint, in milliseconds. */
const POLL_MS = 500;

/** How long each connection may take to end. */
const CLOSE_MS = 1000;

/**
 * Opens the database and the queues. The database must be migrated.
 *
 * @throws AppError `unavailable` where one of them cannot be used
 */
export async function openDeps(config: Config, log: Log, databaseUrl: string): Promise<Deps> {
  let closing = false;
  const onError = (error: unknown) => {
    // While we close, connections are meant to end.
    if (!closing) log.warn({ err: error }, 'connection trouble');
  };
  const instance = randomBytes(8).toString('hex');
  const pool = openPool({
    url: databaseUrl,
    max: config.databasePool,
    applicationName: 'defib',
    session: config.databasePooler !== 'transaction',
    statementMs: STATEMENT_MS,
    onError,
  });
  const db = openDb(pool);
  const backend = await assertAnswers(pool, databaseUrl)
    .then(() =>
      openQueueBackend({
        databaseUrl,
        redisUrl: config.redisUrl,
        prefix: config.queuePrefix,
        workers: jobs.length,
        onError,
      }),
    )
    .catch(async (error: unknown) => {
      closing = true;
      await db.destroy();
      throw error;
    });
  const queues = openQueues(backend, onError);
  const waiters = createRunWaiters({ db, pollMs: POLL_MS, onError });
  const wakeups = createWakeups({
    instance,
    wakeLocal: waiters.wake,
    answerLocal: waiters.answer,
    transport: openTransport(config, { instance, databaseUrl, pool, waiters, onError }),
    onError,
  });
  const close = async () => {
    closing = true;
    waiters.close();
    // None of them ends while its server is gone or a statement hangs, and we have to.
    for (const end of [wakeups.close, queues.close, backend.close, () => db.destroy()]) {
      await withTimeout(end(), CLOSE_MS).catch((error: unknown) =>
        log.warn({ err: error }, 'a connection did not end in time'),
      );
    }
  };
  return {
    config,
    log,
    instance,
    db,
    queues,
    waiters,
    wakeups,
    sessionSettings: {
      ...defaultSessionSettings,
      resumeBackoffSeconds: config.resumeBackoffSeconds,
      checkpointRetentionDays: config.checkpoints.retentionDays,
      keepResultDays: config.checkpoints.keepResultDays,
    },
    close,
  };
}

function openTransport(
  config: Config,
  options: {
    instance: string;
    databaseUrl: string;
    pool: Pool;
    waiters: RunWaiters;
    onError: (error: Error) => void;
  },
): WakeTransport {
  const { instance, onError } = options;
  const common = { instance, onError, onWake: options.waiters.wake };
  return config.redisUrl === undefined
    ? postgresTransport({ ...common, url: options.databaseUrl, pool: options.pool })
    : redisTransport({ ...common, redisUrl: config.redisUrl });
}
