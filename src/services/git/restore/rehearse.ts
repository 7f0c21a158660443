import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { AppError } from '../../../errors.ts';
import type { GitOptions } from '../git.ts';
import { readIndex } from '../index-file.ts';
import { hashBytes, privateGit } from '../private-dir.ts';
import type { PrivateDir } from '../private-dir.ts';
import { alternatesText } from '../repository.ts';
import type { Repository } from '../repository.ts';
import type { Staged } from '../staged.ts';
import { readStaged } from '../staged.ts';
import { believePromises, copyShallow, initRepository } from './repository.ts';
import { restoreSteps } from './steps.ts';

export type Rehearsal = {
  commit: string;
  /** What the capture takes the checkpoint for. */
  tree: string;
  staged: Staged;
  repository: Repository;
  dir: PrivateDir;
  signal: AbortSignal;
};

/**
 * Goes through the restore of a checkpoint, by the very steps that a restore takes, into a scratch repository
 * that borrows the objects, and writes no file of the worktree. Then the index that came out is compared with what
 * the capture believes that it saved. Returns what is wrong, or null.
 */
export async function rehearse(input: Rehearsal): Promise<string | null> {
  const { dir, repository, signal } = input;
  await sweepScratch(dir);
  const scratch = join(dir.path, `${PREFIX}${process.pid}.${randomUUID().slice(0, 8)}`);
  await mkdir(scratch, { mode: 0o700 });
  try {
    const made = await initRepository(scratch, dir.objectFormat, signal);
    const believed = await believePromises(made, repository.objectsDir);
    const git = { ...believed, config: [...(believed.config ?? []), ...FAST] };
    await borrowObjects(git, [dir.store, repository.objectsDir]);
    await copyShallow([join(repository.commonDir, 'shallow')], git);
    const { checkpoint } = await restoreSteps(input.commit, repository, git, { files: false });
    if (checkpoint.tree !== input.tree) return 'its tree is another one';
    return await compareIndex(input, git);
  } catch (error) {
    if (signal.aborted || !(error instanceof AppError)) throw error;
    return error.cause instanceof Error
      ? `${error.message} (${error.cause.message})`
      : error.message;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** The scratch repository need not outlast a power cut: to wait for the disk takes milliseconds for each ref. */
const FAST = [
  ['core.fsync', 'none'],
  ['core.logAllRefUpdates', 'false'],
] as const;

async function borrowObjects(git: GitOptions, stores: readonly string[]): Promise<void> {
  const info = join(git.gitDir ?? '', 'objects', 'info');
  await mkdir(info, { recursive: true });
  await writeFile(join(info, 'alternates'), alternatesText(stores));
}

/** Stages, flags and the staged tree, read from the index that the restore made. */
async function compareIndex(input: Rehearsal, git: GitOptions): Promise<string | null> {
  const { staged, dir, repository, signal } = input;
  const file = git.indexFile ?? '';
  const buffer = await readFile(file).catch(() => null);
  const parsed = buffer && (await readIndex(buffer, hashBytes(dir.objectFormat)));
  const options = privateGit(dir, repository, file, signal);
  const found = await readStaged(parsed && { file, parsed }, staged.key, dir, options);
  if (found.tree !== staged.tree) return 'what is staged would come back as something else';
  if (found.unmerged !== staged.unmerged) return 'conflicts would come back as something else';
  if (found.flags !== staged.flags) return 'flags of the index would come back as something else';
  return null;
}

const PREFIX = 'rehearsal.';
const STALE_MS = 600_000;

/** Removes what killed captures left. */
async function sweepScratch(dir: PrivateDir): Promise<void> {
  for (const name of await readdir(dir.path)) {
    if (!name.startsWith(PREFIX)) continue;
    const info = await stat(join(dir.path, name)).catch(() => null);
    if (info && Date.now() - info.mtimeMs > STALE_MS) {
      await rm(join(dir.path, name), { recursive: true, force: true });
    }
  }
}
