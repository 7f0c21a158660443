import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile, rename } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Binaries } from './binaries.ts';
import type { Place } from './place.ts';
import { endProcess, readPostmaster, sendSignal } from './postmaster.ts';
import { runAs } from './run.ts';

export type ServerOptions = {
  place: Place;
  binaries: Binaries;
  port: number;
  settings: Record<string, string>;
  startTimeoutMs: number;
};

/** A server that takes connections. `exited` settles when its process is gone, for any reason. */
export type Server = { pid: number; exited: Promise<void>; stop(): Promise<void> };

/** Why a server did not come up, and what it wrote to its log this time. */
export type StartFailure = { reason: string; logTail: string };

type Child = Server & { over(): boolean };

export const logFileOf = (pgdata: string) => `${pgdata}.log`;

/** Begins a new log, and keeps the one before, which may tell why the last run ended. */
export async function rotateLog(pgdata: string): Promise<void> {
  const path = logFileOf(pgdata);
  await rename(path, `${path}.1`).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}

/** Starts the server and waits until it takes connections. */
export async function launch(options: ServerOptions): Promise<Server | StartFailure> {
  const path = logFileOf(options.place.pgdata);
  const log = await open(path, 'a', 0o600);
  try {
    const logStart = (await log.stat()).size;
    const child = await spawnServer(options, log.fd);
    if ('logTail' in child) return child;
    const reason = await waitUntilReady(child, options);
    if (reason === undefined) return child;
    const text = (await readFile(path)).subarray(logStart).toString();
    return { reason, logTail: text.trim().split('\n').slice(-15).join('\n') };
  } finally {
    await log.close();
  }
}

/**
 * The server gets a session of its own (`detached`): Ctrl-C and the closing of a terminal, which
 * signal the whole foreground process group, must not end it before the service has drained.
 */
async function spawnServer(options: ServerOptions, logFd: number): Promise<Child | StartFailure> {
  const { pgdata, account } = options.place;
  const child = spawn(options.binaries.postgres, ['-D', pgdata, ...flags(options)], {
    ...runAs(account),
    detached: true,
    stdio: ['ignore', logFd, logFd],
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  try {
    await once(child, 'spawn');
  } catch (error) {
    return { reason: `it cannot be run as ${account.name}`, logTail: String(error) };
  }
  const { pid } = child;
  if (pid === undefined) return { reason: 'it has no process id', logTail: '' };
  // Whoever forgets `stop` must still be able to end, and does not leave the server alone.
  child.unref();
  endWithProcess(pid, exited);
  const over = () => child.exitCode !== null || child.signalCode !== null;
  const stop = async () => {
    child.ref();
    await endProcess(pid, over);
  };
  return { pid, exited, over, stop };
}

const running = new Set<number>();

/**
 * However this process ends, but by a signal that it does not handle, the server is told to: a fast shutdown,
 * which it completes by itself. Of one that is killed the next start finds the server.
 */
function endWithProcess(pid: number, exited: Promise<void>): void {
  if (running.size === 0) process.on('exit', endAll);
  running.add(pid);
  void exited.then(() => {
    running.delete(pid);
    if (running.size === 0) process.off('exit', endAll);
  });
}

function endAll(): void {
  for (const pid of running) sendSignal(pid, 'SIGINT');
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

/** Undefined once it takes connections, else why it never will. */
async function waitUntilReady(
  child: Child,
  { place, startTimeoutMs }: ServerOptions,
): Promise<string | undefined> {
  const deadline = performance.now() + startTimeoutMs;
  while (performance.now() < deadline) {
    const found = await readPostmaster(place.pgdata);
    if (found?.pid === child.pid && found.ready) return undefined;
    if (child.over()) return 'it ended at once';
    await sleep(15);
  }
  await child.stop();
  return `it was not ready after ${startTimeoutMs} ms`;
}
