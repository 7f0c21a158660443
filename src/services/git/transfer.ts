import { chown, copyFile, constants, lstat, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { AppError } from '../../errors.ts';
import type { GitOptions } from './git.ts';
import { git } from './git.ts';
import { writeLoose } from './objects.ts';
import { writerOf } from './own-refs.ts';
import { exists } from './private-dir.ts';
import { ObjectsGone } from './reachable.ts';
import type { Repository } from './repository.ts';

export type TransferOptions = {
  repository: Repository;
  privateDir: string;
  commit: string;
  signal: AbortSignal | undefined;
};

/**
 * Puts those objects that the user's store lacks into it, as loose objects: a pack per checkpoint would
 * soon make the user's next command pack the repository. Each appears under its name complete or not at all,
 * the last of `oids` first.
 *
 * @returns objects that were put
 * @throws AppError `conflict` when one is nowhere any more
 */
export async function putMissing(
  options: TransferOptions,
  oids: readonly string[],
): Promise<number> {
  await sweepTemporary(options);
  const missing = await missingThere(options, oids);
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

async function missingThere(
  { repository, privateDir, signal }: TransferOptions,
  oids: readonly string[],
): Promise<string[]> {
  if (oids.length === 0) return [];
  const there: GitOptions = {
    gitDir: privateDir,
    env: { GIT_OBJECT_DIRECTORY: repository.objectsDir },
    signal,
  };
  const { stdout } = await git(['cat-file', '--batch-check=%(objectname)', '--buffer'], {
    ...there,
    stdin: `${oids.join('\n')}\n`,
  });
  const lines = stdout.toString('latin1').split('\n');
  return oids.filter((_, n) => lines[n]?.endsWith(' missing') ?? true);
}

/** Puts one object. A `git prune` beside removes empty folders and temporary files: then once more. */
async function putObject(options: TransferOptions, oid: string): Promise<void> {
  for (let left = TRIES; ; left -= 1) {
    try {
      await copyObject(options, oid);
      return;
    } catch (error) {
      const swept = error instanceof Error && 'code' in error && error.code === 'ENOENT';
      if (!swept || left === 1) throw error;
    }
  }
}

const TRIES = 20;

/**
 * A copy and not a link: the private store's own file gets a new time whenever git writes the same object
 * again, and that of the user's must not.
 */
async function copyObject(options: TransferOptions, oid: string): Promise<void> {
  const { repository, privateDir } = options;
  const from = join(privateDir, 'store', oid.slice(0, 2), oid.slice(2));
  const folder = join(repository.objectsDir, oid.slice(0, 2));
  await ensureFolder(repository, folder);
  const temporary = temporaryIn(options);
  await rm(temporary, { force: true });
  if (!(await exists(from))) await unpackObject(options, oid);
  await copyFile(from, temporary, constants.COPYFILE_FICLONE);
  const owner = writerOf(repository);
  if (owner) await chown(temporary, owner.uid, owner.gid);
  await rename(temporary, join(folder, oid.slice(2)));
}

/** The private store has some objects in packs; they are kept apart from now on, as all others. */
async function unpackObject({ privateDir, signal }: TransferOptions, oid: string): Promise<void> {
  const { stdout } = await git(['cat-file', '--batch'], {
    gitDir: privateDir,
    stdin: `${oid}\n`,
    signal,
  });
  const lineEnd = stdout.indexOf(0x0a);
  const [, type] = stdout.toString('latin1', 0, lineEnd).split(' ');
  if (type === undefined || type === 'missing') throw new ObjectsGone();
  await writeLoose(join(privateDir, 'store'), oid, type, stdout.subarray(lineEnd + 1, -1));
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
