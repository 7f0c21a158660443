import { lstat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Difference } from './differences.ts';
import type { IndexEntry } from './index-file.ts';
import { readIndex } from './index-file.ts';
import type { PrivateDir } from './private-dir.ts';
import { readPlain } from './plain-file.ts';
import { exists, hashBytes, MAX_INDEX } from './private-dir.ts';
import type { Repository } from './repository.ts';
import { absolute } from './vet.ts';

/*
 * A checkpoint holds the bytes of the worktree. Where the user's git converts files (line ends, filters), these
 * differ from HEAD in every converted file, although the user changed nothing. Such files are saved, but
 * they are not work, and are not counted as such.
 */

const noteOf = (dir: PrivateDir): string => join(dir.path, 'conversions');

/** Notes that the worktree holds converted files; only then is the effort of telling them apart made. */
export async function noteConversions(dir: PrivateDir): Promise<void> {
  await writeFile(noteOf(dir), '');
}

/** The differences without the files that the user's git calls unchanged. */
export async function withoutConversions(
  changes: readonly Difference[],
  repository: Repository,
  dir: PrivateDir,
): Promise<readonly Difference[]> {
  if (!(await exists(noteOf(dir)))) return changes;
  const index = await readPlain(join(repository.gitDir, 'index'), MAX_INDEX).catch(() => null);
  if (!index) return changes;
  const { entries } = await readIndex(index, hashBytes(dir.objectFormat)).catch(() => ({
    entries: [],
  }));
  const known = new Map(entries.map((entry) => [entry.path.toString('latin1'), entry]));
  const kept: Difference[] = [];
  for (const change of changes) {
    const entry = known.get(change.path.toString('latin1'));
    const clean = entry && entry.oid === change.oldOid && (await isClean(repository, entry));
    if (!clean || change.status !== 'M') kept.push(change);
  }
  return kept;
}

/** Whether the file is as the user's index recorded it, by the times and the size. */
async function isClean({ worktree }: Repository, entry: IndexEntry): Promise<boolean> {
  const info = await lstat(absolute(worktree, entry.path)).catch(() => null);
  return (
    info !== null &&
    Math.floor(info.mtimeMs / 1000) === entry.mtimeSec &&
    Math.floor(info.ctimeMs / 1000) === entry.ctimeSec &&
    info.size % 2 ** 32 === entry.size
  );
}
