import type { Dirent, Stats } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../errors.ts';

/*
 * Git opens the files of a repository by name and waits where one is a FIFO, until its deadline, and again
 * at each capture. No git directory has a FIFO or a device by right, so one that has is refused before
 * git runs. (A socket cannot be opened, so nobody waits for it; git's own monitor has one. Loose objects are left out: they are many, and a git child that waits for one is
 * ended at the deadline.)
 */

const FOLDERS = ['', 'info', 'objects/info', 'objects/pack'];
/** Refs may be many; a repository that keeps more than this loose is not searched to the end. */
const MAX_REFS = 50_000;

/** @throws AppError `invalid`: names the file, and says to remove it */
export async function refuseSpecialFiles(gitDirs: readonly string[]): Promise<void> {
  for (const gitDir of new Set(gitDirs)) {
    for (const folder of FOLDERS) await refuseIn(gitDir, folder);
    await refuseBelow(gitDir, 'refs');
  }
}

async function refuseIn(gitDir: string, folder: string): Promise<Dirent[]> {
  const path = join(gitDir, folder);
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    if (await isSpecial(path, entry)) throw special(join(folder, entry.name));
  }
  return entries;
}

async function refuseBelow(gitDir: string, top: string): Promise<void> {
  const queue = [top];
  let seen = 0;
  for (let folder = queue.pop(); folder !== undefined; folder = queue.pop()) {
    const entries = await refuseIn(gitDir, folder);
    seen += entries.length;
    if (seen > MAX_REFS) return;
    for (const entry of entries) if (entry.isDirectory()) queue.push(join(folder, entry.name));
  }
}

async function isSpecial(folder: string, entry: Dirent): Promise<boolean> {
  if (!entry.isSymbolicLink()) return isEndless(entry);
  // Git follows links here; one that leads nowhere is as good as absent.
  const target = await stat(join(folder, entry.name)).catch(() => null);
  return target !== null && isEndless(target);
}

const isEndless = (file: Dirent | Stats): boolean =>
  file.isFIFO() || file.isCharacterDevice() || file.isBlockDevice();

function special(path: string): AppError {
  return new AppError(
    'invalid',
    `${path} in the git directory is a FIFO or a device, which git would read without end; remove it.`,
  );
}
