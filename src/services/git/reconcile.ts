import { lstat, readFile, rm } from 'node:fs/promises';
import type { GitOptions } from './git.ts';
import { git } from './git.ts';
import type { IndexEntry } from './index-file.ts';
import { GITLINK, readIndex } from './index-file.ts';
import { hashBytes, scratchName } from './private-dir.ts';
import { mark } from './stage.ts';
import type { Session } from './user-state.ts';
import { copyUserIndex, infoLine, isDamage } from './user-index.ts';
import { absolute, inBatches } from './vet.ts';

/*
 * The private index begins as a copy of the user's, and then follows the worktree. What the user's index says is
 * not in the worktree, though: which ignored files are tracked, what a sparse checkout leaves out, where the
 * submodules stand. So whenever the user's index changed, the two are held against each other, and a later
 * capture comes to what a first one would.
 */

export type Reconciled = {
  /** Whether the private index was changed. */
  changed: boolean;
  /** Tracked paths that are not in the worktree, and not in the private index either. */
  missing: Buffer[];
};

/** Brings the working copy at `index` in line with the user's index. */
export async function reconcile(
  session: Session,
  index: string,
  options: GitOptions,
): Promise<Reconciled> {
  const user = await userEntries(session);
  if (user === null) return { changed: false, missing: [] };
  const own = await readIndex(await readFile(index), hashBytes(session.dir.objectFormat));
  const { lacking, doubtful, foreign } = compare(user, own.entries);
  const isThere = async ({ path }: IndexEntry): Promise<boolean> => {
    const info = await lstat(absolute(session.repository.worktree, path)).catch(() => null);
    return info !== null && !info.isDirectory();
  };
  const asked = [...lacking, ...doubtful];
  const there = await inBatches(asked, isThere);
  const missing: Buffer[] = [];
  const put: IndexEntry[] = [];
  const skip: Buffer[] = [];
  for (const [n, entry] of asked.entries()) {
    const leftOut = entry.skipWorktree && !there[n];
    if (n < lacking.length && !there[n] && !leftOut && entry.mode !== GITLINK) {
      missing.push(entry.path);
    } else if (n < lacking.length || leftOut || !entry.skipWorktree) {
      put.push(entry);
      if (leftOut) skip.push(entry.path);
    }
  }
  await apply(put, skip, foreign, options);
  return { changed: put.length + foreign.length > 0, missing };
}

/** Null when the user's index cannot be read: then the private one stays as it is. */
async function userEntries({ repository, dir, signal }: Session): Promise<IndexEntry[] | null> {
  const file = scratchName(dir, 'staged');
  try {
    const options = { gitDir: dir.path, indexFile: file, signal };
    const copy = await copyUserIndex(repository, dir, file, options);
    return copy?.parsed.entries ?? [];
  } catch (error) {
    if (!isDamage(error, signal)) throw error;
    return null;
  } finally {
    await rm(file, { force: true });
    await rm(`${file}.lock`, { force: true });
  }
}

type Comparison = {
  /** Only in the user's index. */
  lacking: IndexEntry[];
  /** In both, but the worktree cannot tell what the private entry should be. */
  doubtful: IndexEntry[];
  /** Left over in the private index from another index of the user. */
  foreign: IndexEntry[];
};

/** Both lists are in git's order: by the bytes of the path, then by stage. */
function compare(user: readonly IndexEntry[], own: readonly IndexEntry[]): Comparison {
  const result: Comparison = { lacking: [], doubtful: [], foreign: [] };
  let at = 0;
  let last: IndexEntry | undefined;
  const passOver = (entry: IndexEntry): void => {
    if (entry.skipWorktree || entry.mode === GITLINK) result.foreign.push(entry);
  };
  for (const entry of user) {
    if (last?.path.equals(entry.path)) continue; // another stage of a conflict
    last = entry;
    let other = own[at];
    while (other && Buffer.compare(other.path, entry.path) < 0) {
      passOver(other);
      at += 1;
      other = own[at];
    }
    if (!other?.path.equals(entry.path)) result.lacking.push(entry);
    else {
      if (isDoubtful(entry, other)) result.doubtful.push(entry);
      while (own[at]?.path.equals(entry.path)) at += 1;
    }
  }
  for (const entry of own.slice(at)) passOver(entry);
  return result;
}

function isDoubtful(user: IndexEntry, own: IndexEntry): boolean {
  const differs = user.oid !== own.oid || user.mode !== own.mode;
  if (user.mode === GITLINK || own.mode === GITLINK) return differs;
  if (!user.skipWorktree && !own.skipWorktree) return false;
  return differs || user.skipWorktree !== own.skipWorktree;
}

async function apply(
  put: readonly IndexEntry[],
  skip: readonly Buffer[],
  drop: readonly IndexEntry[],
  options: GitOptions,
): Promise<void> {
  if (put.length + drop.length > 0) {
    const stdin = Buffer.concat([
      ...drop.map(({ oid, path }) => infoLine(0, '0'.repeat(oid.length), 0, path)),
      ...put.map(({ mode, oid, path }) => infoLine(mode, oid, 0, path)),
    ]);
    await git(['update-index', '--replace', '-z', '--index-info'], { ...options, stdin });
  }
  await mark('--skip-worktree', skip, options);
}
