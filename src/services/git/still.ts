import { lstat, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { displayPath } from './names.ts';
import { readPlainText } from './plain-file.ts';
import type { PrivateDir } from './private-dir.ts';
import type { Repository } from './repository.ts';
import { fileKey, indexKey } from './user-index.ts';
import { absolute, inBatches } from './vet.ts';

/*
 * HEAD, index and files belong together only if all held still while they were read. What was seen of the files is
 * how they were at the start, unless a file that was seen as changed is younger than that: so no second walk
 * over the worktree is needed to tell.
 */

/** How things stood when a look at the worktree began. */
export type Start = { atNs: bigint; head: string; index: string; lock: Lock };
/** When git last took the lock of the index, if it holds it. */
type Lock = { atNs: bigint } | null;

/** What did not hold still. */
export type Moved = {
  files: Buffer[];
  head: boolean;
  index: boolean;
  git: boolean;
  /** When the youngest of the files seen so far was changed. */
  newestNs: bigint;
};

/** A file that was written this shortly ago may be in the middle of being written. Milliseconds. */
const QUIET_MS = 100;
/** A lock that is older than this was left behind by a git that was killed, or waits for an editor. */
const LOCK_STALE_NS = 30_000_000_000n;
const MS_NS = 1_000_000n;

export async function markStart(repository: Repository, dir: PrivateDir): Promise<Start> {
  const atNs = await fileClock(dir);
  const [head, index, lock] = await Promise.all([
    headKey(repository),
    indexKey(repository),
    readLock(repository),
  ]);
  return { atNs, head, index, lock };
}

/** The time that a file written now would get: the kernel's clock for files lags behind by some milliseconds. */
async function fileClock(dir: PrivateDir): Promise<bigint> {
  const now = new Date();
  await utimes(dir.path, now, now);
  return (await stat(dir.path, { bigint: true })).ctimeNs;
}

/** Changes whenever HEAD is moved, by a commit as well as by a switch. */
async function headKey({ gitDir, commonDir }: Repository): Promise<string> {
  const file = join(gitDir, 'HEAD');
  const text = (await readPlainText(file, 8192).catch(() => null)) ?? (await fileKey(file));
  const ref = /^ref:\s*(refs\/[^\n]+?)\s*$/.exec(text)?.[1];
  if (ref === undefined) return text;
  const loose = await fileKey(join(commonDir, ref));
  if (loose !== 'none') return `${text}${loose}`;
  const shared = ['packed-refs', 'reftable/tables.list'].map((name) => join(commonDir, name));
  const keys = await Promise.all([...shared, join(gitDir, 'reftable/tables.list')].map(fileKey));
  return [text, ...keys].join();
}

async function readLock({ gitDir }: Repository): Promise<Lock> {
  const info = await stat(join(gitDir, 'index.lock'), { bigint: true }).catch(() => null);
  return info && { atNs: info.ctimeNs };
}

/** What a look at the worktree found to differ from the last one. */
export type Seen = { added: readonly Buffer[]; gone: readonly Buffer[] };

/** What moved between the start and now; waits a moment for files that were written just before. */
export async function whatMoved(
  repository: Repository,
  dir: PrivateDir,
  start: Start,
  seen: Seen,
  earlier: Moved | null,
): Promise<Moved> {
  await quiet(await changeTimes(repository, seen));
  const times = await changeTimes(repository, seen);
  const end = await markStart(repository, dir);
  const newestNs = latest([...times, earlier?.newestNs ?? 0n]);
  return {
    newestNs,
    files: [...seen.added, ...seen.gone].filter((_, n) => (times[n] ?? 0n) >= start.atNs),
    head: end.head !== start.head,
    index: end.index !== start.index,
    // A lock alone says nothing; files that were written under it do.
    git: [start.lock, end.lock].some(
      (lock) => lock && lock.atNs <= newestNs && end.atNs - lock.atNs < LOCK_STALE_NS,
    ),
  };
}

/** Times of change: of each file, and for one that is gone of the folder that lost it. */
async function changeTimes({ worktree }: Repository, seen: Seen): Promise<bigint[]> {
  return [
    ...(await inBatches(seen.added, (path) => changeTime(absolute(worktree, path), false))),
    ...(await inBatches(seen.gone, (path) => folderTime(absolute(worktree, path)))),
  ];
}

async function changeTime(path: Buffer, folder: boolean): Promise<bigint> {
  const info = await lstat(path, { bigint: true }).catch(() => null);
  return info && info.isDirectory() === folder ? info.ctimeNs : 0n;
}

async function folderTime(path: Buffer): Promise<bigint> {
  const folder = path.subarray(0, path.lastIndexOf(0x2f));
  if (folder.length === 0) return 0n;
  return (await changeTime(folder, true)) || folderTime(folder);
}

async function quiet(times: readonly bigint[]): Promise<void> {
  const age = Date.now() - Number(latest(times) / MS_NS);
  if (age >= 0 && age < QUIET_MS) await pause(QUIET_MS - age);
}

const latest = (times: readonly bigint[]): bigint => times.reduce((a, b) => (a > b ? a : b), 0n);

export function isStill(moved: Moved): boolean {
  return moved.files.length === 0 && !moved.head && !moved.index && !moved.git;
}

/** What a reader of the checkpoint must know of a worktree that never held still. */
export function movedWarnings(moved: Moved): string[] {
  const warnings: string[] = [];
  if (moved.head || moved.index || moved.git) {
    const which = [moved.head ? 'HEAD' : '', moved.index ? 'the index' : ''].filter(Boolean);
    const what = which.length > 0 ? `${which.join(' and ')} kept changing` : 'git was at work';
    warnings.push(`While the worktree was read, ${what}: files and index may not fit together.`);
  }
  const names = moved.files.slice(0, MAX_NAMED).map(displayPath);
  const more = moved.files.length - names.length;
  if (names.length > 0) {
    const list = `${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
    warnings.push(`Kept changing while it was read, and may be saved in part: ${list}.`);
  }
  return warnings;
}

const MAX_NAMED = 5;
