import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { acquireLock } from '../../../src/db/embedded/lock.ts';
import { end, makeFolder } from './harness.ts';

/** A process that takes the lock, forgets what it got, collects garbage, and waits. */
async function startHolder(path: string) {
  const script = `
    import { acquireLock } from ${JSON.stringify(new URL('../../../src/db/embedded/lock.ts', import.meta.url).href)};
    void acquireLock(${JSON.stringify(path)}, 'the folder', 0).then(() => setInterval(gc, 5));
    setTimeout(() => console.log('held'), 100);`;
  const holder = spawn(process.execPath, ['--expose-gc', '--input-type=module', '-e', script], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(() => end(holder, 'SIGKILL'));
  await once(holder.stdout, 'data');
  return holder;
}

test('one at a time, also in one process; release may be called again', async () => {
  const path = join(await makeFolder(), 'a.lock');
  const lock = await acquireLock(path, 'the folder', 0);
  await expect(acquireLock(path, 'the folder', 0)).rejects.toThrow('the folder is in use');
  // A refused try must not have let go of what the first one holds.
  await expect(acquireLock(path, 'the folder', 0)).rejects.toThrow(`pid ${process.pid}`);
  lock.release();
  lock.release();
  const again = await acquireLock(path, 'the folder', 0);
  lock.release();
  await expect(acquireLock(path, 'the folder', 0)).rejects.toThrow('in use');
  again.release();
});

test('who waits gets it when the holder lets go', async () => {
  const path = join(await makeFolder(), 'a.lock');
  const lock = await acquireLock(path, 'the folder', 0);
  const waiting = acquireLock(path, 'the folder', 10_000);
  lock.release();
  (await waiting).release();
});

test('held while its process lives, free at its kill -9, nothing left beside it', async () => {
  const folder = await makeFolder();
  const path = join(folder, 'a.lock');
  const holder = await startHolder(path);
  await expect(acquireLock(path, 'the folder', 0)).rejects.toThrow(`pid ${holder.pid}`);
  expect((await readdir(folder)).sort()).toEqual(['a.lock', 'a.lock.owner']);
  await end(holder, 'SIGKILL');
  (await acquireLock(path, 'the folder', 0)).release();
  expect(await readdir(folder)).toEqual(['a.lock']);
});

test('a place that cannot be locked is an error of its own', async () => {
  const folder = await makeFolder();
  await mkdir(join(folder, 'taken'));
  await expect(acquireLock(join(folder, 'taken'), folder, 0)).rejects.toThrow('Cannot lock');
  await expect(acquireLock(join(folder, 'none', 'a.lock'), folder, 0)).rejects.toThrow(
    'Cannot lock',
  );
});
