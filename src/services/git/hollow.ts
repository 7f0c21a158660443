import { lstat, readFile } from 'node:fs/promises';
import { missingOids } from './differences.ts';
import type { GitOptions } from './git.ts';
import { GITLINK, readIndex } from './index-file.ts';
import { hashBytes } from './private-dir.ts';
import { isPartial } from './reachable.ts';
import type { Scan } from './scan.ts';
import { removePaths } from './stage.ts';
import type { Session } from './user-state.ts';
import { absolute, inBatches } from './vet.ts';

/*
 * The index may name a blob that is nowhere at hand (never fetched, or lost) while a file of the same content
 * lies in the worktree. To git that file is unchanged, so it would not be hashed, and the checkpoint would
 * lack what only the worktree has.
 */

/**
 * Takes files whose blob is not at hand out of the private index, and returns their paths: they are to be hashed.
 * Asked by first captures, and always in a partial clone, where what was left out may come back.
 */
export async function takeHollow(
  session: Session,
  index: string,
  isFirst: boolean,
  scan: Scan,
  options: GitOptions,
): Promise<Buffer[]> {
  const { repository, dir } = session;
  if (!isFirst && !(await isPartial(repository))) return [];
  const buffer = await readFile(index).catch(() => null);
  if (!buffer) return [];
  const { entries } = await readIndex(buffer, hashBytes(dir.objectFormat));
  const files = entries.filter((entry) => entry.stage === 0 && entry.mode !== GITLINK);
  const missing = new Set(
    await missingOids(
      files.map(({ oid }) => oid),
      options,
    ),
  );
  const seen = new Set([...scan.changed, ...scan.gone].map(key));
  const asked = files.filter(({ oid, path }) => missing.has(oid) && !seen.has(key(path)));
  const there = await inBatches(asked, ({ path }) =>
    lstat(absolute(repository.worktree, path)).catch(() => null),
  );
  const hollow = asked.filter((_, n) => there[n]?.isFile() || there[n]?.isSymbolicLink());
  const paths = hollow.map(({ path }) => path);
  await removePaths(paths, options);
  return paths;
}

const key = (path: Buffer): string => path.toString('latin1');
