import type { Stats } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../errors.ts';
import {
  DATA_DIR_REASON,
  findDataDirs,
  foldersAbove,
  keyOf,
  outsideOf,
  withoutDataDirs,
} from './data-dirs.ts';
import type { GitOptions } from './git.ts';
import { gitText } from './git.ts';
import { displayPath } from './names.ts';
import { nestedFiles } from './nested.ts';
import type { PrivateDir } from './private-dir.ts';
import { writing } from './private-dir.ts';
import type { Repository } from './repository.ts';
import type { Look, Oddities, Scan } from './scan.ts';
import { findOddities, scanWorktree } from './scan.ts';
import { addPaths, removePaths } from './stage.ts';
import type { Submodules } from './submodules.ts';
import type { NotCaptured, SizeCaps } from './vet.ts';
import { absolute, specialReason, vetPaths } from './vet.ts';

export type Snapshot = {
  tree: string;
  emptyFolders: Buffer[];
  notCaptured: NotCaptured[];
  warnings: string[];
  /** Paths that were hashed or dropped since the last look. */
  seen: { added: Buffer[]; gone: Buffer[] };
};

/** Looks at the worktree: one walk by git, one by find(1), side by side. */
export async function lookAround(
  repository: Repository,
  ignoredBefore: readonly Buffer[],
  options: GitOptions,
): Promise<Look> {
  const blocked = new AbortController();
  const limits = [blocked.signal, ...(options.signal ? [options.signal] : [])];
  const [scan, odd] = await Promise.all([
    scanWorktree({ ...options, signal: AbortSignal.any(limits) }).catch((error: unknown) => {
      throw blocked.signal.aborted ? blocked.signal.reason : error;
    }),
    findOddities(repository.worktree, ignoredBefore, options.signal).then((odd) => {
      const fifo = odd.special.find((path) => GIT_READS.test(path.toString('latin1')));
      if (fifo) blocked.abort(waitsFor(fifo));
      return odd;
    }),
  ]);
  // Git may not have come to it yet: the next one would wait.
  blocked.signal.throwIfAborted();
  return await withoutDataDirs(repository.worktree, { scan, odd });
}

const GIT_READS = /(?:^|\/)\.git(?:attributes|ignore)$/;

function waitsFor(path: Buffer): AppError {
  return new AppError(
    'invalid',
    `${displayPath(path)} is a FIFO or a device, which git would wait for; remove it.`,
  );
}

export type SnapshotInput = {
  repository: Repository;
  dir: PrivateDir;
  look: Look;
  submodules: Submodules;
  caps: SizeCaps;
  /** Tree of the private index as it was before the look; null when that is not known. */
  knownTree: string | null;
};

/** Brings the private index up to date with the worktree and writes its tree. */
export async function snapshot(
  { repository, dir, look, submodules, caps, knownTree }: SnapshotInput,
  options: GitOptions,
  onHashed: () => Promise<void>,
): Promise<Snapshot> {
  const { scan, odd } = look;
  const { worktree } = repository;
  const links = new Set(submodules.present.map(keyOf));
  const outside = outsideIgnored(scan.ignored);
  const own = await vetPaths(worktree, notBelow(scan.changed, links), caps);
  const repositories = nestedRepositories(scan, odd).filter(
    (p) => outside(p) && !links.has(keyOf(p)),
  );
  const inner = await allNested(repository, dir, topmost(repositories), outside, options);
  const nested = await vetPaths(worktree, onlyNew(inner.files, scan), caps, own.bytes);
  const write = writing(dir, options);
  const gone = [...scan.gone, ...own.gone, ...nested.gone];
  const add = [...own.add, ...nested.add, ...submodules.present];
  await removePaths(gone, write);
  const failed = await addPaths(worktree, add, write);
  const unchanged = knownTree !== null && gone.length + add.length === 0;
  await onHashed();
  return {
    tree: unchanged ? knownTree : await gitText(['write-tree', '--missing-ok'], write),
    emptyFolders: odd.emptyFolders.filter((p) => outside(p) && !links.has(keyOf(p))),
    notCaptured: [
      ...own.notCaptured,
      ...nested.notCaptured,
      ...failed,
      ...inner.notCaptured,
      ...submodules.notCaptured,
      ...(await specialFiles(worktree, odd.special.filter(outside))),
      ...scan.unreadable.map((p) => ({ path: displayPath(p), reason: 'unreadable: folder' })),
      ...scan.dataDirs.map(dataDirEntry),
      ...ignoredList(scan.ignored.filter((path) => !scan.dataDirs.includes(path))),
    ],
    seen: { added: add, gone },
    warnings: odd.listed ? [] : ['find(1) is missing: empty folders and FIFOs are not listed.'],
  };
}

const dataDirEntry = (path: Buffer): NotCaptured => ({
  path: displayPath(path),
  reason: DATA_DIR_REASON,
});

function nestedRepositories(scan: Scan, odd: Oddities): Buffer[] {
  const all = new Map([...scan.nested, ...odd.repositories].map((path) => [keyOf(path), path]));
  return [...all.values()];
}

/** Repositories inside other nested repositories are reached through those. */
function topmost(paths: Buffer[]): Buffer[] {
  const keys = new Set(paths.map(keyOf));
  return paths.filter((path) => !foldersAbove(keyOf(path)).some((parent) => keys.has(parent)));
}

function notBelow(paths: Buffer[], links: Set<string>): Buffer[] {
  if (links.size === 0) return paths;
  return paths.filter((path) => !links.has(keyOf(path)));
}

/** Tests whether a path lies outside every ignored folder. */
function outsideIgnored(ignored: readonly Buffer[]): (path: Buffer) => boolean {
  return outsideOf(new Set(ignored.filter((path) => path.at(-1) === 0x2f).map(keyOf)));
}

async function allNested(
  repository: Repository,
  dir: PrivateDir,
  folders: Buffer[],
  outside: (path: Buffer) => boolean,
  options: GitOptions,
) {
  const result: { files: Buffer[]; notCaptured: NotCaptured[] } = { files: [], notCaptured: [] };
  for (const folder of folders) {
    const nested = await nestedFiles(repository, dir, folder, options);
    result.files.push(...nested.files);
    result.notCaptured.push(...nested.notCaptured);
  }
  // Without those that the look has found, also where no file of theirs counts for git.
  const files = result.files.filter(outside);
  const own = await findDataDirs(repository.worktree, files);
  const left = [...own].map((path) => Buffer.from(`${path}/`, 'latin1'));
  return {
    files: files.filter(outsideOf(own)),
    notCaptured: [...result.notCaptured, ...left.map(dataDirEntry)],
  };
}

/** Nested folders that git took for untracked repositories are new; the others it has looked at itself. */
function onlyNew(files: Buffer[], scan: Scan): Buffer[] {
  const fresh = new Set(scan.nested.map(keyOf));
  return files.filter((file) => foldersAbove(keyOf(file)).some((parent) => fresh.has(parent)));
}

async function specialFiles(worktree: string, paths: Buffer[]): Promise<NotCaptured[]> {
  const list: NotCaptured[] = [];
  for (const path of paths.slice(0, MAX_LISTED)) {
    const info: Stats | null = await lstat(absolute(worktree, path)).catch(() => null);
    if (info) list.push({ path: displayPath(path), reason: specialReason(info) });
  }
  return list;
}

const MAX_LISTED = 1000;

/** Ignored paths; a long list is folded into the folders that hold them. */
function ignoredList(ignored: Buffer[]): NotCaptured[] {
  if (ignored.length <= MAX_LISTED) {
    return ignored.map((path) => ({ path: displayPath(path), reason: 'ignored' }));
  }
  const folders = new Map<string, number>();
  for (const path of ignored) {
    const folder = join(displayPath(path), '..', '/');
    folders.set(folder, (folders.get(folder) ?? 0) + 1);
  }
  const rows = [...folders].map(([path, n]) => ({ path, reason: `ignored: ${n} entries` }));
  return rows.slice(0, MAX_LISTED);
}
