import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import {
  chmod,
  copyFile,
  lstat,
  mkdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
} from 'node:fs/promises';
import { displayPath } from '../../services/git/names.ts';
import { fetchCommit, type Home, isAncestor, isClean } from './home.ts';
import { splitNul } from '../../services/git/git.ts';
import { git, tryGit } from './user-git.ts';
import type { Work } from './work.ts';

/**
 * Puts the work where it came from: moves the branch that is checked out forward to the work's head, and puts what
 * was uncommitted into the worktree, staged as it was. Only into one that is clean and stands behind; nothing that
 * git does not know is overwritten.
 *
 * @returns why it was not done, and then nothing was; null: it was
 */
export async function putInPlace(home: Home, work: Work): Promise<string | null> {
  const { folder, head } = home;
  if (home.special !== null) return `in ${folder} ${home.special}`;
  if (work.special !== null) return work.special;
  if (head === null) return `${folder} has no commit yet`;
  if (!home.isClean) return `${folder} has changes of its own`;
  if (home.branch === null && head !== work.head) return `no branch is checked out in ${folder}`;
  await fetchCommit(home, work, work.head);
  if (!(await isAncestor(folder, head, work.head))) {
    return `${home.branch ?? 'HEAD'} has commits that the work does not build on`;
  }
  const obstacle = await firstObstacle(home, work, head);
  if (obstacle !== undefined) return `${displayPath(obstacle)} is in the way in ${folder}`;
  if (head !== work.head) {
    const merge = ['merge', '--quiet', '--ff-only', '--no-overwrite-ignore', work.head];
    const { code, stderr } = await tryGit(folder, merge);
    if (code !== 0) return stderr.trim().split('\n')[0] ?? 'git refused to move the branch';
  }
  if (work.changed.length === 0) return null;
  await fetchCommit(home, work, work.index);
  if (!(await isClean(folder))) return `${folder} was changed meanwhile`;
  for (const path of work.changed) await putFile(home, work, path);
  await git(folder, ['read-tree', `${work.index}^{tree}`]);
  await tryGit(folder, ['update-index', '-q', '--refresh']);
  return null;
}

const SLASH = Buffer.from('/');
const inside = (folder: string, path: Buffer): Buffer =>
  Buffer.concat([Buffer.from(folder), SLASH, path]);

/** A file that git does not track where the work has one, or what is no folder where the work has one. */
async function firstObstacle(home: Home, work: Work, head: string): Promise<Buffer | undefined> {
  const { folder } = home;
  const diff = ['diff', '--name-only', '--no-renames', '-z', head, work.head];
  const moved = splitNul(await git(folder, diff));
  const tracked = new Set(
    splitNul(await git(folder, ['ls-files', '-z'])).map((path) => path.toString('latin1')),
  );
  for (const path of [...moved, ...work.changed]) {
    for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) {
      const parent = await lstatOf(inside(folder, path.subarray(0, at)));
      if (parent && !parent.isDirectory()) return path.subarray(0, at);
    }
    const there = await lstatOf(inside(folder, path));
    if (there && (there.isDirectory() || !tracked.has(path.toString('latin1')))) return path;
  }
  return undefined;
}

const lstatOf = (path: Buffer) => lstat(path).catch(() => null);

/** One file of the worktree, as the work has it: bytes, exec bit, or link. It appears whole. */
async function putFile(home: Home, work: Work, path: Buffer): Promise<void> {
  const [from, to] = [inside(work.folder, path), inside(home.folder, path)];
  const source = await lstatOf(from);
  if (!source) return await rm(to, { force: true });
  await mkdir(to.subarray(0, to.lastIndexOf('/')), { recursive: true });
  const part = Buffer.concat([to, Buffer.from(`.defib-${randomUUID()}`)]);
  if (source.isSymbolicLink()) {
    await symlink(await readlink(from, { encoding: 'buffer' }), part);
  } else {
    await copyFile(from, part, constants.COPYFILE_EXCL);
    await chmod(part, source.mode & 0o777);
  }
  await rename(part, to);
}

/** Whether the worktree has every file of the work already, to the byte. */
export async function hasFiles(home: Home, work: Work): Promise<boolean> {
  for (const path of work.changed) {
    if (!(await isEqual(inside(work.folder, path), inside(home.folder, path)))) return false;
  }
  return true;
}

async function isEqual(one: Buffer, other: Buffer): Promise<boolean> {
  const [a, b] = [await lstatOf(one), await lstatOf(other)];
  if (!a || !b) return !a && !b;
  if (a.isSymbolicLink() || b.isSymbolicLink()) {
    if (!a.isSymbolicLink() || !b.isSymbolicLink()) return false;
    return (await readlink(one, 'latin1')) === (await readlink(other, 'latin1'));
  }
  if (!a.isFile() || !b.isFile() || a.size !== b.size) return false;
  if ((a.mode & 0o100) !== (b.mode & 0o100)) return false;
  return (await readFile(one)).equals(await readFile(other));
}
