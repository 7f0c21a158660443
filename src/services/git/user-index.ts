import { readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../errors.ts';
import type { GitOptions } from './git.ts';
import { git, gitText, splitNul } from './git.ts';
import type { IndexEntry, IndexFile } from './index-file.ts';
import { LINK, PROGRAM, readIndex, SPARSE_DIR } from './index-file.ts';
import type { PrivateDir } from './private-dir.ts';
import { copyIndex, exists, hashBytes } from './private-dir.ts';
import type { Repository } from './repository.ts';
import { markIntentToAdd } from './restore/intent-to-add.ts';
import { nulTerminated } from './stage.ts';

/** A readable copy of the user's index; the original is only ever opened for reading. */
export type IndexCopy = { file: string; parsed: IndexFile };

/**
 * Copies the user's index to `file` and parses it. Split and sparse indexes are written out in full in
 * the copy. Returns null when there is no index yet.
 */
export async function copyUserIndex(
  repository: Repository,
  dir: PrivateDir,
  file: string,
  options: GitOptions,
): Promise<IndexCopy | null> {
  const source = join(repository.gitDir, 'index');
  if (!(await exists(source))) return null;
  await copyIndex(source, file);
  let parsed = await readIndex(await readFile(file), hashBytes(dir.objectFormat));
  const bytes = hashBytes(dir.objectFormat);
  if (parsed.extensions.has('link')) {
    await copySharedIndexes(repository, dir);
    // Else git takes the marks off files that are there, and writes the index without them.
    const config = [['sparse.expectFilesOutsideOfPatterns', 'true']] as const;
    await git(['update-index', '--no-split-index', '--force-write-index'], { ...options, config });
    parsed = await readIndex(await readFile(file), bytes);
  }
  // Git rebuilds an index that is marked as sparse, also one that holds no whole folder any more.
  if (parsed.extensions.has('sdir') || parsed.entries.some(({ mode }) => mode === SPARSE_DIR)) {
    const { tree, undo } = parsed;
    await expandSparse(parsed.entries, file, options);
    parsed = { ...(await readIndex(await readFile(file), bytes)), tree, undo };
  }
  if (parsed.withoutTrees) await writeFile(file, parsed.withoutTrees);
  return { file, parsed };
}

/** Whether it is the user's index that is at fault, and not the time, the disk or git. */
export function isDamage(error: unknown, signal: AbortSignal | undefined): boolean {
  if (signal?.aborted) return false;
  return !(error instanceof AppError) || !(error.transient || error.code === 'unavailable');
}

/**
 * Rebuilds an index that holds whole folders as single entries. Git can do so itself, but writes the
 * folders' trees again on the way, which renews the times of the user's objects.
 */
async function expandSparse(
  entries: readonly IndexEntry[],
  file: string,
  options: GitOptions,
): Promise<void> {
  const lines: Buffer[] = [];
  const skipped: Buffer[] = [];
  const assumed: Buffer[] = [];
  const planned = entries.filter((entry) => entry.intentToAdd);
  const add = (path: Buffer, mode: number, oid: string, stage: number, skip: boolean): void => {
    lines.push(infoLine(mode, oid, stage, path));
    if (skip) skipped.push(path);
  };
  for (const entry of entries) {
    if (entry.assumeValid) assumed.push(entry.path);
    if (entry.intentToAdd) continue;
    if (entry.mode !== SPARSE_DIR) {
      add(entry.path, entry.mode, entry.oid, entry.stage, entry.skipWorktree);
      continue;
    }
    const { stdout } = await git(['ls-tree', '-r', '-z', entry.oid], { ...options, indexFile: '' });
    for (const row of splitNul(stdout)) {
      const tab = row.indexOf(0x09);
      const [mode = '', , oid = ''] = row.toString('latin1', 0, tab).split(' ');
      const path = Buffer.concat([entry.path, row.subarray(tab + 1)]);
      add(path, Number.parseInt(mode, 8), oid, 0, true);
    }
  }
  await rm(file, { force: true });
  const update = ['update-index', '-z'];
  await git([...update, '--index-info'], { ...options, stdin: Buffer.concat(lines) });
  await markIntentToAdd(
    {
      paths: pathsOf(planned),
      programs: pathsOf(planned.filter(({ mode }) => mode === PROGRAM)),
      links: pathsOf(planned.filter(({ mode }) => mode === LINK)),
    },
    options,
  );
  for (const [flag, paths] of [
    ['--skip-worktree', skipped] as const,
    ['--assume-unchanged', assumed] as const,
  ]) {
    const stdin = nulTerminated(paths);
    if (paths.length > 0) await git([...update, flag, '--stdin'], { ...options, stdin });
  }
}

const pathsOf = (entries: readonly IndexEntry[]): Buffer[] => entries.map(({ path }) => path);

/** The base of a split index lies beside the user's index; git looks for it in its own git directory. */
async function copySharedIndexes(repository: Repository, dir: PrivateDir): Promise<void> {
  for (const name of await readdir(repository.gitDir)) {
    if (!/^sharedindex\.[0-9a-f]+$/.test(name)) continue;
    await copyIndex(join(repository.gitDir, name), join(dir.path, name));
  }
}

export async function removeSharedIndexes(dir: PrivateDir): Promise<void> {
  for (const name of await readdir(dir.path)) {
    if (name.startsWith('sharedindex.')) await rm(join(dir.path, name), { force: true });
  }
}

/**
 * The tree of what is staged. Unmerged paths cannot be in a tree: "ours" stands in for them, and the
 * stages are kept apart (see {@link unmergedEntries}).
 */
export async function writeIndexTree(copy: IndexCopy | null, options: GitOptions): Promise<string> {
  if (copy?.parsed.tree) return copy.parsed.tree;
  const unmerged = copy ? unmergedEntries(copy.parsed) : [];
  if (unmerged.length > 0) {
    const ours = unmerged.filter((entry) => entry.stage === 2 && !isShadowed(entry, copy));
    const lines = [
      ...unmerged.map((entry) => infoLine(0, '0'.repeat(entry.oid.length), 0, entry.path)),
      ...ours.map((entry) => infoLine(entry.mode, entry.oid, 0, entry.path)),
    ];
    await git(['update-index', '-z', '--index-info'], { ...options, stdin: Buffer.concat(lines) });
  }
  // Objects are checked once, after the commit, for what differs from HEAD; not again for all of it.
  return gitText(['write-tree', '--missing-ok'], options);
}

/** Whether the name is a folder, or lies in a file, of what is merged: a tree cannot hold both. */
function isShadowed({ path }: IndexEntry, copy: IndexCopy | null): boolean {
  const name = path.toString('latin1');
  return (copy?.parsed.entries ?? []).some((other) => {
    if (other.stage !== 0) return false;
    const merged = other.path.toString('latin1');
    return merged.startsWith(`${name}/`) || name.startsWith(`${merged}/`);
  });
}

/** One record for `update-index -z --index-info`. */
export function infoLine(mode: number, oid: string, stage: number, path: Buffer): Buffer {
  const head = Buffer.from(`${mode.toString(8)} ${oid} ${stage}\t`);
  return Buffer.concat([head, path, Buffer.from([0])]);
}

export function unmergedEntries({ entries }: IndexFile): IndexEntry[] {
  return entries.filter((entry) => entry.stage !== 0);
}

/** Identifies the bytes of an index without reading them all: any write by git changes one of these. */
export function indexKey(repository: Repository): Promise<string> {
  return fileKey(join(repository.gitDir, 'index'));
}

/** As {@link indexKey}, for any file. */
export async function fileKey(path: string): Promise<string> {
  const info = await stat(path, { bigint: true }).catch(() => null);
  if (!info) return 'none';
  return [info.dev, info.ino, info.size, info.mtimeNs, info.ctimeNs].join(':');
}
