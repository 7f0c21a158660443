import { lstat, realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve, sep } from 'node:path';
import { AppError } from '../../errors.ts';
import { readPlainText } from './plain-file.ts';
import { refuseSpecialFiles } from './special-files.ts';

/** Where the parts of a worktree's repository lie. All paths are absolute and free of symlinks. */
export type Repository = {
  worktree: string;
  /** HEAD, index and the state of merges; the worktree's own. */
  gitDir: string;
  /** Refs, config and objects; shared by linked worktrees. */
  commonDir: string;
  objectsDir: string;
  /** Owner of the worktree. Files written into the repository get this owner. */
  uid: number;
  gid: number;
};

export type RepositoryPolicy = {
  /** Folders below which worktrees and their repositories may lie. */
  roots: readonly string[];
  /** User ids that may own a worktree. Default: only the user that this process runs as. */
  owners?: readonly number[] | 'any';
};

/**
 * Finds the repository of a worktree by reading its files: running git inside an unknown folder would
 * read that folder's configuration first. Every part must lie below the roots, also the folders that
 * `.git` files, `commondir` and alternates point to.
 */
export async function locateRepository(
  path: string,
  policy: RepositoryPolicy,
): Promise<Repository> {
  const roots = await realRoots(policy.roots);
  const worktree = await insideRoots(path, roots, 'The worktree');
  const info = await stat(worktree);
  if (!info.isDirectory()) throw new AppError('invalid', 'The worktree is not a directory.');
  requireOwner(info.uid, policy);
  const gitDir = await insideRoots(await gitDirOf(worktree), roots, 'The git directory');
  const commonDir = await insideRoots(await commonDirOf(gitDir), roots, 'The common git directory');
  const objectsDir = await insideRoots(join(commonDir, 'objects'), roots, 'The object store');
  await requireSafeAlternates(objectsDir, roots, 0);
  await refuseSpecialFiles([gitDir, commonDir]);
  return { worktree, gitDir, commonDir, objectsDir, uid: info.uid, gid: info.gid };
}

/** Resolves the roots once; a root that does not exist allows nothing. */
export async function realRoots(roots: readonly string[]): Promise<string[]> {
  const resolved = await Promise.all(roots.map((root) => realpath(root).catch(() => null)));
  return resolved.filter((root) => root !== null);
}

/**
 * The real path, or one and the same error when it does not exist or lies outside the roots: the path is a
 * stranger's, who must not learn from the answer what else is on this machine.
 */
export async function insideRoots(path: string, roots: string[], what: string): Promise<string> {
  if (!isAbsolute(path))
    throw new AppError('invalid', `${what} must be given as an absolute path.`);
  const message = `${what} does not exist, cannot be read, or lies outside the allowed roots (DEFIB_WORKTREE_ROOTS).`;
  let real: string;
  try {
    real = await realpath(path);
  } catch (cause) {
    throw new AppError('forbidden', message, { cause });
  }
  if (!isBelow(real, roots)) throw new AppError('forbidden', message);
  return real;
}

/** Whether an error of {@link insideRoots} was about a path that is not there; for us, not for whoever named it. */
export function isMissing(error: unknown): boolean {
  return (
    error instanceof AppError && (error.cause as { code?: unknown } | undefined)?.code === 'ENOENT'
  );
}

export function isBelow(path: string, roots: readonly string[]): boolean {
  return roots.some((root) => path === root || path.startsWith(root === sep ? sep : root + sep));
}

function requireOwner(uid: number, policy: RepositoryPolicy): void {
  if (policy.owners === 'any') return;
  const allowed = policy.owners ?? [process.geteuid?.() ?? 0];
  if (!allowed.includes(uid)) {
    throw new AppError(
      'forbidden',
      'The worktree belongs to another user; add its owner to the policy.',
    );
  }
}

async function gitDirOf(worktree: string): Promise<string> {
  const dotGit = join(worktree, '.git');
  const info = await lstat(dotGit).catch(() => null);
  if (!info) throw new AppError('invalid', 'The path is not the top of a git worktree.');
  if (!info.isFile()) return dotGit;
  const text = await readSmall(dotGit);
  if (!text.startsWith('gitdir:')) throw new AppError('invalid', 'The .git file cannot be read.');
  // As git reads it: only line ends are cut off, since a path may end with a space.
  return resolve(
    worktree,
    text
      .slice('gitdir:'.length)
      .replace(/^ /, '')
      .replace(/[\r\n]+$/, ''),
  );
}

async function commonDirOf(gitDir: string): Promise<string> {
  const text = await readSmall(join(gitDir, 'commondir')).catch(() => '');
  const path = text.replace(/[\r\n]+$/, '');
  return path === '' ? gitDir : resolve(gitDir, path);
}

async function readSmall(path: string): Promise<string> {
  const text = await readPlainText(path, 1024 * 1024);
  if (text === null) throw new Error('not a file');
  return text;
}

/** The object store of a repository given by its worktree or its (bare) git directory. */
export async function locateObjects(path: string, roots: string[]): Promise<string> {
  const dotGit = await lstat(join(path, '.git')).catch(() => null);
  const gitDir = dotGit
    ? await insideRoots(await gitDirOf(path), roots, 'The git directory')
    : path;
  const common = await insideRoots(await commonDirOf(gitDir), roots, 'The common git directory');
  const objectsDir = await insideRoots(join(common, 'objects'), roots, 'The object store');
  await requireSafeAlternates(objectsDir, roots, 0);
  return objectsDir;
}

/** Git follows alternates on its own, so a repository could lend itself the objects of a stranger. */
async function requireSafeAlternates(objectsDir: string, roots: string[], depth: number) {
  for (const path of await alternatesOf(objectsDir)) {
    if (depth > 5)
      throw new AppError('invalid', 'The object store borrows through too many stores.');
    const real = await insideRoots(
      path,
      roots,
      'A borrowed object store (objects/info/alternates)',
    );
    await requireSafeAlternates(real, roots, depth + 1);
  }
}

/** The object stores that this one borrows from directly, as written. */
export async function alternatesOf(objectsDir: string): Promise<string[]> {
  const text = await readSmall(join(objectsDir, 'info', 'alternates')).catch(() => '');
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => resolve(objectsDir, unquoted(line)));
}

/** Text of an alternates file. A path that could not stand in a line of its own is quoted, as git reads it. */
export function alternatesText(paths: readonly string[]): string {
  return paths
    .map((path) => (/^["#]|[\n\r]/.test(path) ? quoted(path) : path))
    .map((line) => `${line}\n`)
    .join('');
}

function quoted(path: string): string {
  const escaped = path.replaceAll('\\', '\\\\').replaceAll('"', '\\"');
  return `"${escaped.replaceAll('\n', '\\n').replaceAll('\r', '\\r')}"`;
}

const ESCAPES: Record<string, number> = { a: 7, b: 8, t: 9, n: 10, v: 11, f: 12, r: 13 };

/** Undoes git's C-style quoting; what is not quoted stays as it is. */
function unquoted(line: string): string {
  const inner = /^"((?:[^"\\]|\\.)*)"$/.exec(line)?.[1];
  if (inner === undefined) return line;
  const bytes = Buffer.from(inner).toString('latin1');
  const plain = bytes.replaceAll(/\\([0-7]{3}|.)/g, (_, code: string) =>
    code.length === 3
      ? String.fromCharCode(Number.parseInt(code, 8))
      : String.fromCharCode(ESCAPES[code] ?? code.charCodeAt(0)),
  );
  return Buffer.from(plain, 'latin1').toString('utf8');
}

/** Parent folder of a path that may not exist yet, resolved and checked. */
export async function insideRootsNew(path: string, roots: string[], what: string): Promise<string> {
  if (!isAbsolute(path))
    throw new AppError('invalid', `${what} must be given as an absolute path.`);
  const parent = await insideRoots(
    dirname(resolve(path)),
    roots,
    `The parent folder of ${what.toLowerCase()}`,
  );
  return join(
    parent,
    resolve(path)
      .slice(dirname(resolve(path)).length)
      .replace(/^\/+/, ''),
  );
}
