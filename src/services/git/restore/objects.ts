import { link, lstat, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { copyPlain } from '../plain-file.ts';
import { alternatesOf } from '../repository.ts';

/**
 * Gives a new repository the objects of other stores, and of those that they borrow from. On one
 * file system these are hard links: instant, without extra space, and, unlike a borrowed store,
 * safe from a later `gc` or the removal of the source. Elsewhere they are copied.
 */
export async function takeObjects(
  stores: readonly string[],
  target: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const seen = new Set<string>();
  const queue = [...stores];
  for (let store = queue.shift(); store !== undefined; store = queue.shift()) {
    if (seen.has(store)) continue;
    seen.add(store);
    queue.push(...(await alternatesOf(store)));
    for (const folder of await folders(store)) {
      signal?.throwIfAborted();
      await takeFolder(join(store, folder), join(target, folder));
    }
  }
}

async function folders(store: string): Promise<string[]> {
  const names = await readdir(store).catch(() => []);
  return names.filter((name) => name === 'pack' || /^[0-9a-f]{2}$/.test(name));
}

const OBJECT =
  /^[0-9a-f]{38}$|^[0-9a-f]{62}$|^pack-[0-9a-f]+\.(?:pack|idx|rev|bitmap|promisor|mtimes)$/;
const AT_ONCE = 32;

async function takeFolder(from: string, to: string): Promise<void> {
  const info = await lstat(from);
  if (!info.isDirectory()) return;
  const names = (await readdir(from)).filter((name) => OBJECT.test(name)).sort(packsBeforeIndexes);
  if (names.length > 0) await mkdir(to, { recursive: true });
  for (let n = 0; n < names.length; n += AT_ONCE) {
    const slice = names.slice(n, n + AT_ONCE);
    await Promise.all(slice.map((name) => takeFile(join(from, name), join(to, name))));
  }
}

const packsBeforeIndexes = (a: string, b: string): number =>
  Number(a.endsWith('.idx')) - Number(b.endsWith('.idx'));

/** Only regular files: a link among a stranger's objects could lead anywhere. */
async function takeFile(from: string, to: string): Promise<void> {
  const info = await lstat(from).catch(() => null);
  if (!info?.isFile()) return;
  try {
    await link(from, to);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    if (code === 'EEXIST' || code === 'ENOENT') return;
    await copyPlain(from, to);
  }
}
