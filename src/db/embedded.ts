import { resolve } from 'node:path';
import { Client } from 'pg';
import { AppError } from '../errors.ts';
import { prepareBinaries } from './embedded/binaries.ts';
import { ensureCluster, superuser } from './embedded/cluster.ts';
import { readCredentials, writeCredentials } from './embedded/credentials.ts';
import { acquireLock } from './embedded/lock.ts';
import type { Log } from './embedded/log.ts';
import { placeCluster } from './embedded/place.ts';
import type { Place } from './embedded/place.ts';
import { stopOrphan } from './embedded/postmaster.ts';
import { rotateLog } from './embedded/server.ts';
import { superviseServer } from './embedded/supervise.ts';
import type { SupervisedServer } from './embedded/supervise.ts';

export type EmbeddedPostgres = {
  /** `postgres://…` of the `defib` database. */
  url: string;
  /** Fast, clean shutdown. Calling it again waits for the same one. */
  stop(): Promise<void>;
};

export type EmbeddedPostgresOptions = {
  /** DEFIB_DATA_DIR. The cluster lives in its folder `postgres`, the server's log beside that. */
  dataDir: string;
  log: Log;
  /** More server settings, such as `{fsync: 'off'}` in tests. */
  settings?: Record<string, string>;
  /** Recovery after a crash counts, hence the generous default. */
  startTimeoutMs?: number;
  /** How long to wait for an instance that is just leaving the folder, as in a quick restart. */
  lockTimeoutMs?: number;
  /** Where root puts what PostgreSQL's account could not reach otherwise. */
  sharedDir?: string;
};

const database = 'defib';

/**
 * Starts a real PostgreSQL on the data in `dataDir`, made new if there is none, for this process
 * alone. See docs/adr for why it is driven this way.
 *
 * @throws AppError `conflict` while another live instance uses the folder; `unavailable`, with the
 * end of the server's log where there is one, when it cannot be made or started
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const { log, sharedDir = '/var/lib/defib', lockTimeoutMs = 2_000 } = options;
  const dataDir = resolve(options.dataDir);
  try {
    const place = await placeCluster(dataDir, sharedDir, log);
    const lock = await acquireLock(`${place.pgdata}.lock`, dataDir, lockTimeoutMs);
    try {
      const { server, url } = await startOn(place, { ...options, sharedDir });
      let stopped: Promise<void> | undefined;
      return { url, stop: () => (stopped ??= server.stop().finally(lock.release)) };
    } catch (error) {
      lock.release();
      throw error;
    }
  } catch (error) {
    throw error instanceof AppError ? error : folderError(dataDir, error);
  }
}

async function startOn(
  place: Place,
  options: EmbeddedPostgresOptions & { sharedDir: string },
): Promise<{ server: SupervisedServer; url: string }> {
  const { log, settings = {}, startTimeoutMs = 120_000, sharedDir } = options;
  const { pgdata, account } = place;
  const began = performance.now();
  const binaries = await prepareBinaries(account, sharedDir, log);
  const cluster = await ensureCluster(place, binaries, settings['fsync'] !== 'off');
  await stopOrphan(pgdata, log);
  await rotateLog(pgdata);

  const { password, port } = await readCredentials(pgdata);
  const server = await superviseServer(
    { place, binaries, settings, startTimeoutMs, preferredPort: port },
    log,
  );
  const urlOf = (name: string) =>
    `postgres://${superuser}:${password}@127.0.0.1:${server.port}/${name}`;
  try {
    if (server.port !== port) {
      await writeCredentials(pgdata, { password, port: server.port }, account);
    }
    await ensureDatabase(urlOf('postgres'));
  } catch (error) {
    await server.stop();
    throw error;
  }
  const elapsedMs = Math.round(performance.now() - began);
  log('info', 'PostgreSQL is up', {
    folder: pgdata,
    cluster,
    account: account.name,
    port: server.port,
    elapsedMs,
  });
  return { server, url: urlOf(database) };
}

async function ensureDatabase(url: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const found = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [database]);
    if (found.rowCount === 0) await client.query(`CREATE DATABASE ${database}`);
  } finally {
    await client.end();
  }
}

function folderError(dataDir: string, cause: unknown): AppError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new AppError(
    'unavailable',
    `Cannot use the data folder ${dataDir} for the embedded PostgreSQL: ${why}. Fix ` +
      'that, or set DEFIB_DATA_DIR to another folder, or set DATABASE_URL to use a server of your own.',
    { cause },
  );
}
