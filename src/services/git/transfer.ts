import { chown, copyFile, link, lstat, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { AppError } from '../../errors.ts';
import { git } from './git.ts';
import { writerOf } from './own-refs.ts';
import type { Repository } from './repository.ts';

export type TransferOptions = {
  repository: Repository;
  privateDir: string;
  commit: string;
  /** A commit that the repository has with all that belongs to it. */
  have: string | null;
  signal: AbortSignal | undefined;
};

/**
 * Puts the objects of a checkpoint that the user's store lacks into it, as loose objects: a pack per
 * checkpoint would soon make the user's next command pack the repository. Each appears under its name
 * complete or not at all, what it refers to first. Returns how many were put.
 */
export async function transferObjects(options: TransferOptions): Promise<number> {
  await sweepTemporary(options);
  const missing = await missingThere(options);
  for (const oid of missing.toReversed()) {
    options.signal?.throwIfAborted();
    await putObject(options, oid);
  }
  await rm(temporaryIn(options), { force: true });
  return missing.length;
}

const STALE_MS = 60_000;
const temporaryPrefix = ({ privateDir }: TransferOptions) =>
  `tmp_obj_defib_${basename(privateDir)}.`;

/** Where a copy is made before it gets its name. One name for a process, so a killed transfer leaves one. */
function temporaryIn(options: TransferOptions): string {
  return join(options.repository.objectsDir, `${temporaryPrefix(options)}${process.pid}`);
}

/** Removes what killed transfers of the session left, and nothing that another worker is at. */
async function sweepTemporary(options: TransferOptions): Promise<void> {
  const { objectsDir } = options.repository;
  for (const name of await readdir(objectsDir)) {
    if (!name.startsWith(temporaryPrefix(options))) continue;
    const file = join(objectsDir, name);
    const info = await lstat(file).catch(() => null);
    if (info && Date.now() - info.mtimeMs > STALE_MS) await rm(file, { force: true });
  }
}

async function missingThere(options: TransferOptions): Promise<string[]> {
  const { repository, privateDir, commit, have, signal } = options;
  const here = { gitDir: privateDir, signal };
  const not = have === null ? [] : [`^${have}`];
  const { stdout } = await git(
    ['rev-list', '--objects', '--no-object-names', '--ignore-missing', '--stdin'],
    { ...here, stdin: [commit, ...not, ...(await headOf(options))].join('\n') },
  );
  const there = { ...here, env: { GIT_OBJECT_DIRECTORY: repository.objectsDir } };
  const checked = await git(['cat-file', '--batch-check=%(objectname)', '--buffer'], {
    ...there,
    stdin: stdout,
  });
  const lines = checked.stdout.toString('latin1').split('\n');
  return lines.flatMap((line) => (line.endsWith(' missing') ? [line.split(' ')[0] ?? ''] : []));
}

/** HEAD of the checkpoint is in the user's repository already, with its whole history. */
async function headOf({ privateDir, commit, signal }: TransferOptions): Promise<string[]> {
  const { stdout } = await git(['cat-file', 'commit', commit], { gitDir: privateDir, signal });
  const head = /^Defib-Head: ([0-9a-f]{40,64})$/m.exec(stdout.toString('utf8'))?.[1];
  return head === undefined ? [] : [`^${head}`];
}

async function putObject(options: TransferOptions, oid: string): Promise<void> {
  const { repository, privateDir } = options;
  const from = join(privateDir, 'store', oid.slice(0, 2), oid.slice(2));
  const folder = join(repository.objectsDir, oid.slice(0, 2));
  const to = join(folder, oid.slice(2));
  await ensureFolder(repository, folder);
  const owner = writerOf(repository);
  try {
    if (owner) throw new Error('a link would stay root’s');
    await link(from, to);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return;
    const temporary = temporaryIn(options);
    await copyFile(from, temporary);
    if (owner) await chown(temporary, owner.uid, owner.gid);
    await rename(temporary, to);
  }
}

async function ensureFolder(repository: Repository, folder: string): Promise<void> {
  const parent = await lstat(repository.objectsDir);
  const created = await mkdir(folder, { mode: parent.mode & 0o7777 }).then(
    () => true,
    () => false,
  );
  const info = await lstat(folder);
  if (!info.isDirectory()) {
    throw new AppError('forbidden', 'The object store contains links; none is followed.');
  }
  const owner = writerOf(repository);
  if (created && owner) await chown(folder, owner.uid, owner.gid);
}
