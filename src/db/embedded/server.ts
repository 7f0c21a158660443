import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile, rename } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../errors.ts';
import type { Binaries } from './binaries.ts';
import type { Place } from './place.ts';
import { endProcess, readPostmaster } from './postmaster.ts';
import { runAs } from './run.ts';

export type ServerOptions = {
  place: Place;
  binaries: Binaries;
  port: number;
  settings: Record<string, string>;
  startTimeoutMs: number;
};

export type Server = { pid: number; exited: Promise<void>; stop(): Promise<void> };

/** Why a server did not come up. `tail` is what it wrote to its log this time. */
export class ServerFailure extends Error {
  readonly tail: string;
  constructor(message: string, tail: string) {
    super(message);
    this.tail = tail;
  }
}

export const logFileOf = (pgdata: string) => `${pgdata}.log`;

/** Begins a new log, and keeps the one before, which may tell why the last run ended. */
export async function rotateLog(pgdata: string): Promise<void> {
  const path = logFileOf(pgdata);
  await rename(path, `${path}.1`).catch(() => undefined);
}

/**
 * Starts the server and waits until it takes connections.
 *
 * It gets a session of its own (`detached`), so that Ctrl-C and the closing of a terminal, which
 * signal the foreground process group, end it only after the service has drained.
 *
 * @throws ServerFailure
 */
export async function launch(options: ServerOptions): Promise<Server> {
  const { account, pgdata } = options.place;
  const logFile = await open(logFileOf(pgdata), 'a', 0o600);
  const logStart = (await logFile.stat()).size;
  const child = spawn(options.binaries.postgres, ['-D', pgdata, ...flags(options)], {
    ...runAs(account),
    detached: true,
    stdio: ['ignore', logFile.fd, logFile.fd],
  });
  let over = false;
  const exited = once(child, 'exit').then(
    () => void (over = true),
    () => void (over = true),
  );
  const spawnError = await once(child, 'spawn').then(
    () => undefined,
    (error: Error) => error,
  );
  await logFile.close();
  if (spawnError !== undefined || child.pid === undefined) {
    throw new ServerFailure(`it cannot be run as ${account.name}`, String(spawnError?.message));
  }
  // The server alone does not keep this process from ending.
  child.unref();
  const { pid } = child;
  const stop = async () => {
    child.ref();
    await endProcess(pid, () => over);
  };

  const deadline = performance.now() + options.startTimeoutMs;
  while (true) {
    const found = await readPostmaster(pgdata);
    if (found?.pid === pid && found.ready) return { pid, exited, stop };
    const late = performance.now() > deadline;
    if (late) await stop();
    if (over) {
      const why = late
        ? `it was not ready after ${options.startTimeoutMs} ms`
        : 'it stopped at once';
      throw new ServerFailure(why, await readTail(logFileOf(pgdata), logStart));
    }
    await sleep(15);
  }
}

function flags({ port, settings }: ServerOptions): string[] {
  const all = {
    cluster_name: 'defib',
    log_checkpoints: 'off',
    ...settings,
    port: String(port),
    listen_addresses: '127.0.0.1',
    // Not needed, and below a deep folder its path would be longer than a socket's may be.
    unix_socket_directories: '',
  };
  return Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

async function readTail(path: string, from: number): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.slice(from).trim().split('\n').slice(-15).join('\n');
}

export function startError(pgdata: string, failure: ServerFailure): AppError {
  return new AppError(
    'unavailable',
    `The embedded PostgreSQL did not start: ${failure.message}. Its log ${logFileOf(pgdata)} ends with:\n` +
      `${failure.tail || '(nothing)'}\nMend what it complains about, or set DEFIB_DATA_DIR to another ` +
      'folder, or set DATABASE_URL to use a server of your own.',
    { cause: failure },
  );
}
