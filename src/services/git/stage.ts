import { access, constants, lstat } from 'node:fs/promises';
import type { GitOptions } from './git.ts';
import { git, gitFailed } from './git.ts';
import { displayPath } from './names.ts';
import type { NotCaptured } from './vet.ts';
import { absolute } from './vet.ts';

const ADD = ['update-index', '--add', '--remove', '--replace', '-z', '--stdin'];
const REMOVE = ['update-index', '--force-remove', '-z', '--stdin'];
const TRIES = 3;

/** Takes paths out of the private index without looking at the worktree. */
export async function removePaths(paths: readonly Buffer[], options: GitOptions): Promise<void> {
  if (paths.length > 0) await git(REMOVE, { ...options, stdin: nulTerminated(paths) });
}

/**
 * Hashes the files and puts them into the private index. One bad file makes git drop the whole batch,
 * so a failed batch is sifted: unreadable files are set aside, then it is halved until the paths that
 * cannot be saved stand alone. They are reported; all others are saved.
 */
export async function addPaths(
  worktree: string,
  paths: readonly Buffer[],
  options: GitOptions,
): Promise<NotCaptured[]> {
  if (paths.length === 0 || (await tryAdd(paths, options))) return [];
  const { readable, refused } = await siftUnreadable(worktree, paths);
  return [...refused, ...(await addInHalves(worktree, readable, options))];
}

async function tryAdd(paths: readonly Buffer[], options: GitOptions): Promise<boolean> {
  const { code, stderr } = await git(ADD, {
    ...options,
    stdin: nulTerminated(paths),
    okCodes: [1, 128],
  });
  if (code !== 0 && /index\.lock|index file|No space left/.test(stderr)) {
    throw gitFailed(ADD, code, stderr);
  }
  return code === 0;
}

async function addInHalves(
  worktree: string,
  paths: readonly Buffer[],
  options: GitOptions,
): Promise<NotCaptured[]> {
  if (paths.length === 0 || (await tryAdd(paths, options))) return [];
  const [only] = paths;
  if (only && paths.length === 1) return addStubborn(worktree, only, options);
  const half = Math.ceil(paths.length / 2);
  return [
    ...(await addInHalves(worktree, paths.slice(0, half), options)),
    ...(await addInHalves(worktree, paths.slice(half), options)),
  ];
}

/** A single path that git refused: it may be changing right now, or be gone. */
async function addStubborn(
  worktree: string,
  path: Buffer,
  options: GitOptions,
): Promise<NotCaptured[]> {
  for (let n = 1; n < TRIES; n += 1) {
    if (await tryAdd([path], options)) return [];
  }
  const info = await lstat(absolute(worktree, path)).catch(() => null);
  if (!info) await removePaths([path], options);
  return info
    ? [{ path: displayPath(path), reason: 'unstable: it changed while it was read' }]
    : [];
}

async function siftUnreadable(worktree: string, paths: readonly Buffer[]) {
  const readable: Buffer[] = [];
  const refused: NotCaptured[] = [];
  for (const path of paths) {
    if (await isReadable(absolute(worktree, path))) readable.push(path);
    else refused.push({ path: displayPath(path), reason: 'unreadable: permission denied' });
  }
  return { readable, refused };
}

async function isReadable(path: Buffer): Promise<boolean> {
  const info = await lstat(path).catch(() => null);
  if (!info?.isFile()) return true; // links need no permission, and what is gone is dealt with later
  return access(path, constants.R_OK).then(
    () => true,
    () => false,
  );
}

/** One path that cannot be marked makes git drop the whole batch: then it is halved until that one stands alone. */
export async function mark(
  flag: '--assume-unchanged' | '--skip-worktree',
  paths: readonly Buffer[],
  options: GitOptions,
): Promise<void> {
  if (paths.length === 0) return;
  const stdin = nulTerminated(paths);
  const args = ['update-index', flag, '-z', '--stdin'];
  const { code } = await git(args, { ...options, stdin, okCodes: [128] });
  if (code === 0 || paths.length === 1) return;
  const half = Math.ceil(paths.length / 2);
  await mark(flag, paths.slice(0, half), options);
  await mark(flag, paths.slice(half), options);
}

export function nulTerminated(paths: readonly Buffer[]): Buffer {
  const nul = Buffer.from([0]);
  return Buffer.concat(paths.flatMap((path) => [path, nul]));
}
