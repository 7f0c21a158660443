import { lstat, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../errors.ts';
import type { Repository } from './repository.ts';

const LOCK_STALE_MS = 60_000;

/** The user as whom files are written: root would leave what the owner could not change. */
export function writerOf({ uid, gid }: Repository): { uid: number; gid: number } | undefined {
  return process.geteuid?.() === 0 && uid !== 0 ? { uid, gid } : undefined;
}

/** Refuses a ref whose folders are links: git would follow them out of the repository. */
export async function requirePlainPath(repository: Repository, ref: string): Promise<void> {
  const parts = ref.split('/');
  for (let n = 1; n <= parts.length; n += 1) {
    const info = await lstat(join(repository.commonDir, ...parts.slice(0, n))).catch(() => null);
    if (info?.isSymbolicLink()) {
      throw new AppError(
        'forbidden',
        'The refs of the repository contain links; none is followed.',
      );
    }
  }
}

/**
 * Removes the lock of a checkpoint branch that a killed git left. Nobody else writes this branch, so a
 * lock that is a minute old has no owner. True when one was removed.
 */
export async function sweepLock(repository: Repository, ref: string): Promise<boolean> {
  const lock = join(repository.commonDir, `${ref}.lock`);
  const info = await stat(lock).catch(() => null);
  if (!info || Date.now() - info.mtimeMs < LOCK_STALE_MS) return false;
  await rm(lock, { force: true });
  return true;
}
