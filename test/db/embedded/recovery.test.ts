import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import {
  end,
  isAlive,
  killIfAlive,
  newDataDir,
  prepareDataDirs,
  postmasterPid,
  query,
  settings,
  spawnInstance,
  start,
  startInstance,
} from './harness.ts';

let makeDataDir: () => Promise<string>;

beforeAll(async () => {
  const prepared = await prepareDataDirs();
  makeDataDir = prepared.makeDataDir;
  return prepared.discard;
});

const patient = { timeout: 10_000, interval: 5 };

test('signals to the whole process group, as Ctrl-C sends, leave the server to the service', async () => {
  const dataDir = await makeDataDir();
  const instance = await startInstance(dataDir);
  const pid = postmasterPid(dataDir);
  process.kill(-instance.pid, 'SIGINT');
  process.kill(-instance.pid, 'SIGHUP');
  expect(await query(instance.url!, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  expect(postmasterPid(dataDir)).toBe(pid);

  await end(instance.process, 'SIGTERM');
  expect(isAlive(pid)).toBe(false);
});

test('an instance that ends without stopping its server takes it along', async () => {
  const dataDir = await makeDataDir();
  const instance = await startInstance(dataDir);
  await end(instance.process, 'SIGUSR2');
  const pidFile = join(dataDir, 'postgres', 'postmaster.pid');
  await vi.waitFor(() => expect(existsSync(pidFile)).toBe(false), patient);
});

test('a live instance keeps its folder; a killed one leaves a server that the next start replaces', async () => {
  const dataDir = await makeDataDir();
  const instance = await startInstance(dataDir);
  const orphan = postmasterPid(dataDir);
  await query(instance.url!, 'CREATE TABLE kept AS SELECT 42 AS n');
  const underWay = query(instance.url!, 'SELECT pg_sleep(600)').catch((error: Error) => error);
  await expect(start(dataDir, { lockTimeoutMs: 0 })).rejects.toThrow(`pid ${instance.pid}`);
  expect(isAlive(orphan)).toBe(true);

  await end(instance.process, 'SIGKILL');
  expect(isAlive(orphan)).toBe(true);
  const next = await start(dataDir);
  expect(next.warnings).toEqual([expect.stringContaining('earlier instance left running')]);
  expect(await underWay).toBeInstanceOf(Error);
  expect(postmasterPid(dataDir)).not.toBe(orphan);
  expect(next.url).toBe(instance.url);
  expect(await query(next.url, 'SELECT n FROM kept')).toEqual([{ n: 42 }]);
});

test('everything killed at once: committed data is there at the next start', async () => {
  const dataDir = await makeDataDir();
  const instance = await startInstance(dataDir);
  await query(instance.url!, 'CREATE TABLE kept AS SELECT 42 AS n');
  const server = postmasterPid(dataDir);
  instance.process.kill('SIGKILL');
  process.kill(server, 'SIGKILL');
  const next = await start(dataDir);
  expect(await query(next.url, 'SELECT n FROM kept')).toEqual([{ n: 42 }]);
});

test('a postmaster.pid whose pid another process got since does not block', async () => {
  const dataDir = await makeDataDir();
  const first = await start(dataDir);
  const pidFile = join(dataDir, 'postgres', 'postmaster.pid');
  const content = await readFile(pidFile, 'utf8');
  const { uid, gid } = await stat(pidFile);
  await first.stop();

  // The server only takes a pid for its own while the process has its account.
  const ids = uid === process.getuid?.() ? {} : { uid, gid };
  const other = spawn('sleep', ['600'], { ...ids, cwd: '/', stdio: 'ignore' });
  onTestFinished(() => void other.kill('SIGKILL'));
  await once(other, 'spawn');
  await writeFile(pidFile, content.replace(/^\d+/, String(other.pid)));

  const { url, warnings } = await start(dataDir);
  expect(warnings).toEqual([expect.stringContaining('stale postmaster.pid')]);
  expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  expect(isAlive(other.pid!)).toBe(true);
});

test('an initialisation killed half-way is done again', async () => {
  const dataDir = await newDataDir();
  const script = fileURLToPath(new URL('./instance.ts', import.meta.url));
  const instance = spawnInstance(script, { dataDir, settings });
  const halfMade = await vi.waitUntil(async () => {
    const names = await readdir(dataDir).catch(() => []);
    const name = names.find((name) => name.startsWith('postgres.init-'));
    return name !== undefined && existsSync(join(dataDir, name, 'data', 'PG_VERSION')) && name;
  }, patient);
  await end(instance, 'SIGKILL');
  expect(existsSync(join(dataDir, 'postgres'))).toBe(false);

  const { url } = await start(dataDir);
  expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  expect(await readdir(dataDir)).not.toContain(halfMade);
});

test('a server that dies is started again where the service looks for it', async () => {
  const dataDir = await makeDataDir();
  const server = await start(dataDir);
  await query(server.url, 'CREATE TABLE kept AS SELECT 42 AS n');
  const pid = postmasterPid(dataDir);
  killIfAlive(pid);
  const rows = await vi.waitFor(() => query(server.url, 'SELECT n FROM kept'), patient);
  expect(rows).toEqual([{ n: 42 }]);
  expect(postmasterPid(dataDir)).not.toBe(pid);
  expect(server.warnings).toContainEqual(expect.stringContaining('PostgreSQL died'));
});

test('stop while a dead server is being replaced leaves none', async () => {
  const dataDir = await makeDataDir();
  const server = await start(dataDir);
  const pid = postmasterPid(dataDir);
  killIfAlive(pid);
  await vi.waitFor(() => expect(server.warnings).not.toEqual([]), patient);
  await server.stop();
  const { stdout } = await promisify(execFile)('ps', ['-ww', '-eo', 'args']);
  expect(stdout.split('\n').filter((line) => line.includes(`-D ${dataDir}`))).toEqual([]);
  expect((await start(dataDir)).warnings).toEqual([]);
});
