import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../errors.ts';

export type Lock = { release(): void };

/** Locks held by this process: one that is garbage-collected would be closed, and so lost. */
const held = new Set<DatabaseSync>();

/**
 * Takes the cluster's folder for this process until `release` or the process's death.
 *
 * It has to be a lock that the kernel drops when its holder dies, however it dies: a pid file goes
 * stale after kill -9, its pid is soon reused, and in a second container with the same volume it
 * means another process. An advisory lock inside PostgreSQL would need the server that may not be
 * started before the folder is ours, and is lost with its connection. Node has no flock(), but the
 * SQLite that it ships takes a POSIX file lock for a transaction, so an exclusive transaction
 * on an empty file, never ended, is that lock. Child processes do not inherit it: the PostgreSQL
 * that outlives a killed instance does not hold it, which is how the two are told apart.
 *
 * POSIX drops a process's locks on a file when the process closes *any* descriptor of it: nothing
 * else may open `path`. That is why the holder's name is kept in a file beside it.
 *
 * @param patienceMs how long to wait for a holder that is just ending, as in a quick restart
 * @throws AppError `conflict` while another live instance holds it
 */
export async function acquireLock(
  path: string,
  dataDir: string,
  patienceMs: number,
): Promise<Lock> {
  const ownerFile = ownerFileOf(path);
  const file = await openLocked(path, dataDir, performance.now() + patienceMs);
  try {
    // Who can read it could lock it. By name: opening it would be the trap described above.
    chmodSync(path, 0o600);
    writeFileSync(ownerFile, JSON.stringify({ pid: process.pid, host: hostname() }), {
      mode: 0o600,
    });
  } catch (error) {
    file.close();
    throw error;
  }
  held.add(file);
  return {
    release() {
      if (!held.delete(file)) return;
      rmSync(ownerFile, { force: true });
      file.close();
    },
  };
}

async function openLocked(path: string, dataDir: string, deadline: number): Promise<DatabaseSync> {
  while (true) {
    try {
      return tryLock(path);
    } catch (cause) {
      if (!isBusy(cause)) throw unlockable(path, cause);
      if (performance.now() >= deadline) throw heldElsewhere(ownerFileOf(path), dataDir);
    }
    await sleep(50);
  }
}

function tryLock(path: string): DatabaseSync {
  const file = new DatabaseSync(path, { timeout: 0 });
  try {
    // In memory, so that an exclusive transaction that writes nothing leaves no journal beside it.
    file.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

const ownerFileOf = (path: string) => `${path}.owner`;

const sqliteBusy = 5;

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === sqliteBusy;
}

function heldElsewhere(ownerFile: string, dataDir: string): AppError {
  return new AppError(
    'conflict',
    `The data folder ${dataDir} is in use by another running Defib${describeOwner(ownerFile)}. ` +
      'Stop that one, or set DEFIB_DATA_DIR to another folder, or set DATABASE_URL to let several ' +
      'share one PostgreSQL.',
  );
}

/** The holder writes its name just after it took the lock, so for a moment there may be none. */
function describeOwner(ownerFile: string): string {
  try {
    const owner: unknown = JSON.parse(readFileSync(ownerFile, 'utf8'));
    if (typeof owner !== 'object' || owner === null || !('pid' in owner)) return '';
    const elsewhere = 'host' in owner && owner.host !== hostname() ? ` on host ${owner.host}` : '';
    return ` (pid ${owner.pid}${elsewhere})`;
  } catch {
    return '';
  }
}

function unlockable(path: string, cause: unknown): AppError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new AppError(
    'unavailable',
    `Cannot lock ${path}: ${why}. The data folder must be writable and on a file system with file ` +
      'locks. Set DEFIB_DATA_DIR to a folder on a local disk, or set DATABASE_URL.',
    { cause },
  );
}
