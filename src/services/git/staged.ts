import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { GitOptions } from './git.ts';
import type { IndexEntry } from './index-file.ts';
import { GITLINK, LINK, PROGRAM } from './index-file.ts';
import type { PrivateDir } from './private-dir.ts';
import { ensureFile, writing } from './private-dir.ts';
import { type Undo, wholeUndo } from './resolve-undo.ts';
import { nulTerminated } from './stage.ts';
import type { IndexCopy } from './user-index.ts';
import { infoLine, unmergedEntries, writeIndexTree } from './user-index.ts';

/** What the user's index says beyond a tree. Byte strings are base64, as they are kept in a JSON file. */
const stagedSchema = z.object({
  key: z.string(),
  tree: z.string(),
  /** `update-index --index-info` records of all unmerged stages. */
  unmerged: z.string(),
  /** The same, of conflicts that were resolved. */
  undo: z.string(),
  /** Blobs of all those stages. */
  blobs: z.array(z.string()),
  /**
   * NUL-terminated `<letter> <path>`: `a` assume-unchanged, `n` intent-to-add (then `x`: of a program, or `l`:
   * of a link), `s` skip-worktree.
   */
  flags: z.string(),
  skipped: z.array(z.string()),
  /** More skip-worktree entries than are listed: the sparse patterns must do. */
  manySkipped: z.boolean(),
  gitlinks: z.array(z.object({ path: z.string(), oid: z.string() })),
});
export type Staged = z.infer<typeof stagedSchema>;

const MAX_SKIPPED = 100_000;

/** Writes the index tree and collects what a tree cannot hold. */
export async function readStaged(
  copy: IndexCopy | null,
  key: string,
  dir: PrivateDir,
  options: GitOptions,
): Promise<Staged> {
  const entries = copy?.parsed.entries ?? [];
  const unmerged = copy ? unmergedEntries(copy.parsed) : [];
  const skipped = entries.filter((entry) => entry.skipWorktree);
  const manySkipped = skipped.length > MAX_SKIPPED;
  const tree = await writeIndexTree(copy, writing(dir, options));
  const undo = await wholeUndo(copy?.parsed.undo ?? [], options);
  const stages = [...unmerged, ...undo];
  return {
    key,
    tree,
    unmerged: infoLines(unmerged),
    undo: infoLines(undo),
    blobs: [...new Set(stages.filter((e) => e.mode !== GITLINK).map((e) => e.oid))],
    flags: base64(flagRecords(entries, manySkipped)),
    skipped: manySkipped ? [] : skipped.map((entry) => base64(entry.path)),
    manySkipped,
    gitlinks: entries
      .filter((entry) => entry.mode === GITLINK && entry.stage === 0)
      .map((entry) => ({ path: base64(entry.path), oid: entry.oid })),
  };
}

function flagRecords(entries: readonly IndexEntry[], manySkipped: boolean): Buffer {
  const records: Buffer[] = [];
  for (const entry of entries) {
    const note = (letter: string) =>
      records.push(Buffer.concat([Buffer.from(`${letter} `), entry.path]));
    if (entry.assumeValid) note('a');
    if (entry.intentToAdd) note('n');
    if (entry.intentToAdd && entry.mode === PROGRAM) note('x');
    if (entry.intentToAdd && entry.mode === LINK) note('l');
    if (entry.skipWorktree && !manySkipped) note('s');
  }
  return nulTerminated(records);
}

const infoLines = (stages: readonly Undo[]): string =>
  base64(Buffer.concat(stages.map((e) => infoLine(e.mode, e.oid, e.stage, e.path))));

const base64 = (bytes: Buffer): string => bytes.toString('base64');

export const stagedFile = (dir: PrivateDir): string => join(dir.path, 'staged.json');

/** The result for an index that has not changed since, or null. */
export async function cachedStaged(dir: PrivateDir, key: string): Promise<Staged | null> {
  const text = await readFile(stagedFile(dir), 'utf8').catch(() => null);
  if (text === null) return null;
  const parsed = stagedSchema.safeParse(parseJson(text));
  return parsed.success && parsed.data.key === key ? parsed.data : null;
}

export async function cacheStaged(dir: PrivateDir, staged: Staged): Promise<void> {
  await ensureFile(stagedFile(dir), JSON.stringify(staged));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
