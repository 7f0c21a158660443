import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { onTestFinished } from 'vitest';
import { startEmbeddedPostgres } from '../../../src/db/embedded.ts';
import type { EmbeddedPostgres } from '../../../src/db/embedded.ts';
import { tether } from '../../setup/tether.ts';

export const isRoot = process.getuid?.() === 0;

/** Nothing here outlives a power cut, so nothing is synced. */
export const settings = { fsync: 'off' };

/** A folder for one test, gone after it with the server in it, however the test ended. */
export async function makeFolder(): Promise<string> {
  const { folder, discard } = await openFolder();
  onTestFinished(discard);
  return folder;
}

async function openFolder() {
  const folder = await mkdtemp(join(tmpdir(), 'defib-embedded-'));
  await chmod(folder, 0o711);
  const pidFile = join(folder, 'data', 'postgres', 'postmaster.pid');
  const line = tether([pidFile], folder);
  const discard = async () => {
    await line.release();
    const pid = await readFile(pidFile, 'utf8').catch(() => undefined);
    if (pid !== undefined) killIfAlive(Number.parseInt(pid, 10));
    await rm(folder, { recursive: true, force: true, maxRetries: 10 });
  };
  return { folder, discard };
}

/** Where a data folder may be: nothing is there yet. */
export async function newDataDir(): Promise<string> {
  return join(await makeFolder(), 'data');
}

/**
 * Prepares one cluster for a test file, for `beforeAll`. The function that it gives makes data folders
 * that hold a copy of it, cleanly shut down, in a tenth of the time that a first start takes.
 */
export async function prepareDataDirs(): Promise<{
  makeDataDir(): Promise<string>;
  discard(): Promise<void>;
}> {
  const { folder: seed, discard } = await openFolder();
  const server = await startEmbeddedPostgres({
    dataDir: join(seed, 'data'),
    settings,
    log: () => undefined,
  });
  await server.stop();
  return {
    async makeDataDir() {
      const folder = await makeFolder();
      await promisify(execFile)('cp', ['-Rp', join(seed, 'data'), folder]);
      return join(folder, 'data');
    },
    discard,
  };
}

/** The pid of the server, while there is one. */
export function postmasterPid(dataDir: string): number {
  return Number.parseInt(readFileSync(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8'), 10);
}

export type Started = EmbeddedPostgres & { warnings: string[] };

/** Starts in this process; stopped after the test if it was not before. */
export async function start(
  dataDir: string,
  more: { sharedDir?: string; startTimeoutMs?: number; lockTimeoutMs?: number } = {},
): Promise<Started> {
  const warnings: string[] = [];
  const server = await startEmbeddedPostgres({
    dataDir,
    settings,
    log: (level, message) => {
      if (level === 'warn') warnings.push(message);
    },
    ...more,
  });
  onTestFinished(server.stop);
  return { ...server, warnings };
}

type InstanceOptions = { uid?: number; gid?: number; sharedDir?: string; script?: string };
type Line = { url?: string; warnings?: string[]; error?: string; code?: string };

/** Starts an instance in a process (and process group) of its own, and waits for its first line. */
export async function startInstance(dataDir: string, options: InstanceOptions = {}) {
  const {
    uid,
    gid,
    sharedDir,
    script = fileURLToPath(new URL('./instance.ts', import.meta.url)),
  } = options;
  const instance = spawnInstance(script, { dataDir, settings, sharedDir }, { uid, gid });
  const [line] = await once(createInterface(instance.stdout), 'line');
  return { process: instance, pid: instance.pid!, ...(JSON.parse(String(line)) as Line) };
}

export function spawnInstance(
  script: string,
  options: object,
  ids: { uid?: number | undefined; gid?: number | undefined } = {},
) {
  const instance = spawn(process.execPath, [script, JSON.stringify(options)], {
    ...(ids.uid === undefined ? {} : ids),
    detached: true,
    cwd: '/',
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(() => end(instance, 'SIGTERM'));
  return instance;
}

export async function end(
  child: ReturnType<typeof spawnInstance>,
  signal: NodeJS.Signals,
): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}

export function killIfAlive(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It was gone already.
  }
}

export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Runs one statement on a connection of its own. */
export async function query(url: string, statement: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query(statement)).rows;
  } finally {
    await client.end();
  }
}
