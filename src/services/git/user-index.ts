import { readFile, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { GitOptions } from './git.ts';
import { git, gitText, splitNul } from './git.ts';
import type { IndexEntry, IndexFile } from './index-file.ts';
import { readIndex, SPARSE_DIR } from './index-file.ts';
import type { PrivateDir } from './private-dir.ts';
import { copyIndex, exists, hashBytes } from './private-dir.ts';
import type { Repository } from './repository.ts';
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
    await git(['update-index', '--no-split-index', '--force-write-index'], options);
    parsed = await readIndex(await readFile(file), bytes);
  }
  if (parsed.entries.some((entry) => entry.mode === SPARSE_DIR)) {
    const { tree } = parsed;
    await expandSparse(parsed.entries, file, options);
    parsed = { ...(await readIndex(await readFile(file), bytes)), tree };
  }
  return { file, parsed };
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
  const add = (path: Buffer, mode: number, oid: string, stage: number, skip: boolean): void => {
    lines.push(infoLine(mode, oid, stage, path));
    if (skip) skipped.push(path);
  };
  for (const entry of entries) {
    if (entry.assumeValid) assumed.push(entry.path);
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
  for (const [flag, paths] of [
    ['--skip-worktree', skipped] as const,
    ['--assume-unchanged', assumed] as const,
  ]) {
    const stdin = nulTerminated(paths);
    if (paths.length > 0) await git([...update, flag, '--stdin'], { ...options, stdin });
  }
}

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
    const ours = unmerged.filter((entry) => entry.stage === 2);
    const lines = [
      ...unmerged.map((entry) => infoLine(0, '0'.repeat(entry.oid.length), 0, entry.path)),
      ...ours.map((entry) => infoLine(entry.mode, entry.oid, 0, entry.path)),
    ];
    await git(['update-index', '-z', '--index-info'], { ...options, stdin: Buffer.concat(lines) });
  }
  // Objects are checked once, after the commit, for what differs from HEAD; not again for all of it.
  return gitText(['write-tree', '--missing-ok'], options);
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
export async function indexKey(repository: Repository): Promise<string> {
  const info = await stat(join(repository.gitDir, 'index'), { bigint: true }).catch(() => null);
  if (!info) return 'none';
  return [info.dev, info.ino, info.size, info.mtimeNs, info.ctimeNs].join(':');
}
