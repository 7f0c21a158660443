import {
  mkdir,
  readFile,
  readdir,
  rename,
  rm,
  stat,
  statfs,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { AppError } from '../../errors.ts';
import { copyPlain, readPlain } from './plain-file.ts';
import type { Repository } from './repository.ts';
import { alternatesText, isBelow } from './repository.ts';
import type { GitOptions } from './git.ts';

/** A session's private git directory: everything that capture writes lies in here. */
export type PrivateDir = {
  path: string;
  /** The index that describes what the last capture saw. Replaced by rename, never written in place. */
  index: string;
  /** Where new objects go; see {@link writing}. */
  store: string;
  objectFormat: ObjectFormat;
};

export type ObjectFormat = 'sha1' | 'sha256';

export const hashBytes = (format: ObjectFormat): number => (format === 'sha256' ? 32 : 20);

/*
 * Attributes here win over every other source. With all conversions off, git sees the bytes that are on
 * disk; filters are not configured either, so none could run.
 */
const RAW_ATTRIBUTES = '* -text -eol -crlf -filter -ident -working-tree-encoding !diff\n';

function configText(format: ObjectFormat): string {
  const version = format === 'sha256' ? 1 : 0;
  // sparseCheckout makes git look at skip-worktree files that are present after all.
  return `[core]
\trepositoryformatversion = ${version}
\tbare = false
\tfilemode = true
\tsymlinks = true
\tignorecase = false
\tprecomposeunicode = false
\tprotectNTFS = false
\tprotectHFS = false
\tautocrlf = false
\ttrustctime = true
\tcheckStat = default
\tlogAllRefUpdates = false
\tsplitIndex = false
\tuntrackedCache = false
\tsparseCheckout = true
[index]
\tsparse = false
[gc]
\tauto = 0
${version === 1 ? '[extensions]\n\tobjectFormat = sha256\n' : ''}`;
}

export type PrepareOptions = {
  path: string;
  repository: Repository;
  objectFormat: ObjectFormat;
  /** Left-overs of killed captures that are older than this are removed. Milliseconds. */
  staleMs: number;
  now: Date;
  minFreeBytes: number;
};

/**
 * Creates or refreshes the private directory. Every step can be repeated, and a directory that a
 * killed process left half-made is completed.
 */
export async function preparePrivateDir(options: PrepareOptions): Promise<PrivateDir> {
  const { path, repository, objectFormat } = options;
  requireSeparate(path, repository);
  for (const folder of ['objects/info', 'store/info', 'store/pack', 'refs/heads', 'info']) {
    await mkdir(join(path, folder), { recursive: true, mode: 0o700 });
  }
  await requireSpace(path, options.minFreeBytes);
  await ensureFile(join(path, 'config'), configText(objectFormat));
  await ensureFile(join(path, 'info', 'attributes'), RAW_ATTRIBUTES);
  const store = join(path, 'store');
  await ensureFile(
    join(path, 'objects', 'info', 'alternates'),
    alternatesText([store, repository.objectsDir]),
  );
  await mirrorFile(join(repository.commonDir, 'shallow'), join(path, 'shallow'));
  await mirrorFile(join(repository.commonDir, 'info', 'exclude'), join(path, 'info', 'exclude'));
  if (!(await exists(join(path, 'HEAD')))) {
    await ensureFile(join(path, 'HEAD'), 'ref: refs/heads/none\n');
  }
  await removeStale(path, options.now.getTime() - options.staleMs);
  return { path, index: join(path, 'index'), store, objectFormat };
}

/** Options that let git work on the worktree through the private directory. */
export function privateGit(
  dir: PrivateDir,
  repository: Repository,
  indexFile: string,
  signal: AbortSignal | undefined,
): GitOptions {
  return { gitDir: dir.path, workTree: repository.worktree, indexFile, signal };
}

/**
 * Options for commands that write objects. When git writes an object that it can see already, it renews
 * the time of the existing file, be it in a borrowed store: the user's. So writers see only the
 * private store, which borrows from nobody; `objects/` stays empty and borrows from both, for readers.
 */
export function writing(dir: PrivateDir, options: GitOptions): GitOptions {
  return { ...options, env: { ...options.env, GIT_OBJECT_DIRECTORY: dir.store } };
}

/** A name for a working copy that no other process uses, so that captures need no lock. */
export function scratchName(dir: PrivateDir, kind: 'index' | 'staged'): string {
  return join(dir.path, `${kind}.${process.pid}.${randomUUID().slice(0, 8)}`);
}

/** Points the private HEAD at a commit, so that `status` compares with what was last captured. */
export async function setPrivateHead(dir: PrivateDir, commit: string | null): Promise<void> {
  await ensureFile(
    join(dir.path, 'HEAD'),
    commit === null ? 'ref: refs/heads/none\n' : `${commit}\n`,
  );
}

/** Writes a small file only if it differs; the rename makes it whole or absent. */
export async function ensureFile(path: string, content: string | Buffer): Promise<void> {
  const wanted = Buffer.from(content);
  const present = await readFile(path).catch(() => null);
  if (present?.equals(wanted)) return;
  const temporary = `${path}.${process.pid}.${randomUUID().slice(0, 8)}.tmp`;
  await writeFile(temporary, wanted, { mode: 0o600 });
  await rename(temporary, path);
}

async function mirrorFile(from: string, to: string): Promise<void> {
  const content = await readPlain(from, 16 * 1024 * 1024);
  if (content) await ensureFile(to, content);
  else await rm(to, { force: true });
}

export async function exists(path: string | Buffer): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null;
}

function requireSeparate(path: string, repository: Repository): void {
  if (isBelow(path, [repository.worktree, repository.commonDir])) {
    throw new AppError(
      'invalid',
      'The private git directory must lie outside the worktree and its repository; choose another data folder.',
    );
  }
}

async function requireSpace(path: string, minFreeBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(path);
  if (bavail * bsize < minFreeBytes) {
    throw new AppError(
      'unavailable',
      'Too little disk space is left for a checkpoint; free some.',
      {
        transient: true,
      },
    );
  }
}

/** Removes what killed captures left: working copies of indexes, locks, and git's temporary objects. */
async function removeStale(path: string, before: number): Promise<void> {
  let found = 0;
  for (const place of ['', 'info', 'objects/info', 'store', 'store/pack']) {
    found += await removeOld(join(path, place), before);
  }
  // A killed capture always leaves its working index, so the 256 folders are searched only after one.
  if (found === 0) return;
  for (const name of await readdir(join(path, 'store'))) {
    if (/^[0-9a-f]{2}$/.test(name)) await removeOld(join(path, 'store', name), before);
  }
}

async function removeOld(folder: string, before: number): Promise<number> {
  let removed = 0;
  for (const name of (await readdir(folder)).filter(isLeftOver)) {
    const info = await stat(join(folder, name)).catch(() => null);
    if (!info?.isFile() || info.mtimeMs >= before) continue;
    await rm(join(folder, name), { force: true });
    removed += 1;
  }
  return removed;
}

function isLeftOver(name: string): boolean {
  return /^(index|staged)\.\d|^tmp_|\.tmp$|\.lock$/.test(name);
}

/** Bytes of an index: several million files. */
export const MAX_INDEX = 1024 * 1024 * 1024;

/** Copies an index with its timestamp: git's protection against racy edits depends on it. */
export async function copyIndex(from: string, to: string): Promise<void> {
  if (!(await copyPlain(from, to, MAX_INDEX))) {
    throw new AppError('invalid', 'The index of the worktree is not a regular file; remove it.');
  }
  const { mtimeMs } = await stat(from);
  // Rounded down: an index that looks older only makes git read more files.
  const seconds = Math.floor(Math.min(mtimeMs, Date.now())) / 1000;
  await utimes(to, seconds, seconds);
}
