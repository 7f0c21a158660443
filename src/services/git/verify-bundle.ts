import { createReadStream } from 'node:fs';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../errors.ts';
import { readBundleHeader } from './bundle-header.ts';
import type { BundleHeader } from './bundle-header.ts';
import type { Checkpoint } from './checkpoint.ts';
import { readCheckpoint } from './checkpoint.ts';
import type { GitOptions } from './git.ts';
import { git } from './git.ts';
import { requireCheckpointRef } from './names.ts';
import { alternatesText, insideRoots, locateObjects, realRoots } from './repository.ts';
import { requireModestTrees } from './tree-size.ts';
import { requireConnected, unpackBundle } from './unpack-bundle.ts';

export type VerifyOptions = {
  file: string;
  /** The one ref that the bundle must hold, and where it must point. */
  ref: string;
  commit: string;
  /** Bytes of the file, and of all its objects once unpacked. */
  maxBytes: number;
  maxUnpackedBytes: number;
  /** A repository with the commits that the bundle may build on, and the roots it must lie under. */
  base?: { path: string; roots: readonly string[] };
  /** An existing folder for the quarantine. */
  scratch: string;
  /** Leave the quarantine of a good bundle, for whoever goes on with what is in it. Default: removed. */
  keep?: boolean;
  signal?: AbortSignal;
};

export type VerifiedBundle = {
  checkpoint: Checkpoint;
  prerequisites: string[];
  bytes: number;
  unpackedBytes: number;
  /** The quarantine: a bare repository with the bundle's objects, which borrows those of the base. */
  gitDir: string;
};

/**
 * Checks an uploaded bundle before it counts: size, header, the announced ref and no other, known
 * prerequisites, every object by strict fsck, all links, and that it is a checkpoint. It is unpacked in a
 * quarantine of its own, never into a repository that anybody uses.
 */
export async function verifyBundle(options: VerifyOptions): Promise<VerifiedBundle> {
  const { size } = await stat(options.file);
  if (size > options.maxBytes) {
    throw new AppError('too_large', `The bundle is larger than ${options.maxBytes} bytes.`);
  }
  const header = await readBundleHeader(options.file);
  requireAnnounced(header, options);
  const folder = await mkdtemp(join(options.scratch, 'quarantine-'));
  let kept = false;
  try {
    const repo = await makeQuarantine(folder, header, options);
    await git(['bundle', 'verify', '--quiet', options.file], { ...repo, okCodes: [1, 128] }).then(
      ({ code }) => {
        if (code !== 0) throw new AppError('invalid', 'git does not accept the bundle.');
      },
    );
    await unpackBundle(options.file, { maxBytes: options.maxBytes, strict: true }, repo);
    const unpackedBytes = await requireUnpackedSize(options.maxUnpackedBytes, repo);
    const checkpoint = await checkpointIn(options.commit, header.prerequisites, repo);
    kept = options.keep ?? false;
    const { prerequisites } = header;
    return { checkpoint, prerequisites, bytes: size, unpackedBytes, gitDir: folder };
  } finally {
    if (!kept) await rm(folder, { recursive: true, force: true });
  }
}

function requireAnnounced(header: BundleHeader, options: VerifyOptions): void {
  const ref = requireCheckpointRef(options.ref);
  const [only] = header.refs;
  if (header.refs.length !== 1 || only?.name !== ref || only.oid !== options.commit) {
    throw new AppError(
      'invalid',
      `The bundle must hold exactly the announced ref ${ref} at the announced commit.`,
    );
  }
}

/** Large blobs are streamed when they are checked, not held in memory. */
const FRUGAL = [['core.bigFileThreshold', '16m']] as const;

async function makeQuarantine(
  folder: string,
  header: BundleHeader,
  options: VerifyOptions,
): Promise<GitOptions> {
  const repo: GitOptions = { gitDir: folder, signal: options.signal, config: FRUGAL };
  const format = `--object-format=${header.objectFormat}`;
  await git(['init', '--quiet', '--bare', '--template=', format, folder], {
    cwd: folder,
    signal: options.signal,
  });
  if (options.base) {
    const roots = await realRoots(options.base.roots);
    const path = await insideRoots(options.base.path, roots, 'The base repository');
    const objects = await locateObjects(path, roots);
    await writeFile(join(folder, 'objects', 'info', 'alternates'), alternatesText([objects]));
  }
  return repo;
}

/** A small pack may unpack to any size. Only the bundle's own objects count, not the base's. */
async function requireUnpackedSize(max: number, repo: GitOptions): Promise<number> {
  const folder = join(repo.gitDir ?? '', 'objects', 'pack');
  const indexes = (await readdir(folder)).filter((name) => name.endsWith('.idx'));
  let total = 0;
  for (const name of indexes) total += await sizeOfPack(join(folder, name), repo);
  if (total > max) throw new AppError('too_large', `The bundle unpacks to more than ${max} bytes.`);
  return total;
}

async function sizeOfPack(index: string, repo: GitOptions): Promise<number> {
  const stdin = createReadStream(index);
  const listed = await git(['show-index'], { ...repo, stdin });
  const oids = listed.stdout
    .toString('latin1')
    .split('\n')
    .flatMap((line) => line.split(' ')[1] ?? []);
  const sizes = await git(['cat-file', '--batch-check=%(objectsize)', '--buffer'], {
    ...repo,
    stdin: oids.join('\n'),
  });
  const lines = sizes.stdout.toString('latin1').split('\n');
  return lines.reduce((sum, line) => sum + Number(line), 0);
}

async function checkpointIn(
  commit: string,
  prerequisites: readonly string[],
  repo: GitOptions,
): Promise<Checkpoint> {
  const checkpoint = await readCheckpoint(commit, repo);
  if (!checkpoint) throw new AppError('invalid', 'The bundle does not hold the announced commit.');
  const { tree, indexTree, stateTree, head } = checkpoint;
  await requireModestTrees([tree, indexTree, stateTree, ...(head === null ? [] : [head])], repo);
  await requireConnected(checkpoint, prerequisites, repo);
  return checkpoint;
}
