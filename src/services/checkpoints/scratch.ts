import { lstat, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** Longer than any job or upload takes. */
const STALE_MS = 60 * 60_000;

/**
 * Runs `use` with a folder in `parent` that is gone afterwards. Those that killed processes left there
 * are removed on the way.
 */
export async function withFolder<T>(
  parent: string,
  use: (folder: string) => Promise<T>,
): Promise<T> {
  await mkdir(parent, { recursive: true, mode: 0o700 });
  await removeStale(parent);
  const folder = await mkdtemp(join(parent, 'work-'));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function removeStale(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const path = join(parent, name);
    const info = await lstat(path).catch(() => null);
    if (!info || Date.now() - info.mtimeMs < STALE_MS) continue;
    await rm(path, { recursive: true, force: true });
  }
}
