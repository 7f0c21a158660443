import { chmod, lstat, mkdir, readdir, rename, rm, rmdir, stat } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { AppError } from '../../../errors.ts';
import { requireOid } from '../names.ts';
import type { Repository } from '../repository.ts';
import { insideRootsNew, locateRepository, realRoots } from '../repository.ts';
import { createRepository } from './repository.ts';
import { restoreSteps } from './steps.ts';
import type { Restored, RestoreOptions, RestoreStage } from './types.ts';

/**
 * Restores a checkpoint into a new, self-contained repository, and refuses when what was written does
 * not have the checkpoint's fingerprint.
 *
 * A repository of its own, and not `git worktree add`: the branch may still be checked out in the old
 * worktree, where a second checkout is refused, or would move the branch under it; nothing is
 * written into the old repository, whose configuration and hooks do not come along; and the result
 * survives the removal of the old one. Hard links make it as cheap as a worktree.
 */
export async function restore(options: RestoreOptions): Promise<Restored> {
  requireOid('The checkpoint', options.commit);
  const limits = [AbortSignal.timeout(options.deadlineMs ?? 300_000)];
  const signal = AbortSignal.any([...limits, ...(options.signal ? [options.signal] : [])]);
  const roots = await realRoots(options.policy.roots);
  const target = await insideRootsNew(options.target, roots, 'The new worktree');
  await requireVacant(target);
  const source =
    options.from.worktree === undefined
      ? null
      : await locateRepository(options.from.worktree, options.policy);
  await sweepStaging(target, Date.now() - (options.staleMs ?? HOUR_MS));
  const staging = join(dirname(target), `${stagingPrefix(target)}${randomUUID()}`);
  await mkdir(staging, { mode: 0o755 });
  try {
    const restored = await restoreInto(staging, options, source, signal);
    await putInPlace(staging, target);
    return { ...restored, worktree: target };
  } catch (error) {
    await rm(staging, { recursive: true, force: true });
    throw error;
  }
}

async function restoreInto(
  staging: string,
  options: RestoreOptions,
  source: Repository | null,
  signal: AbortSignal,
): Promise<Omit<Restored, 'worktree'>> {
  const at = async (stage: RestoreStage) => options.onStage?.(stage, staging);
  await at('begun');
  const git = await createRepository(staging, options, source, signal);
  const { commit } = options;
  const { checkpoint, warnings } = await restoreSteps(commit, source, git, { files: true, at });
  return {
    head: checkpoint.head,
    branch: checkpoint.state.branch,
    tree: checkpoint.tree,
    operation: checkpoint.state.operation,
    warnings,
  };
}

const HOUR_MS = 3_600_000;
const stagingPrefix = (target: string): string => `.${basename(target)}.restore-`;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Removes what killed restores of the same worktree left; only folders of our own naming. */
async function sweepStaging(target: string, before: number): Promise<void> {
  const prefix = stagingPrefix(target);
  for (const name of await readdir(dirname(target))) {
    if (!name.startsWith(prefix) || !UUID.test(name.slice(prefix.length))) continue;
    const folder = join(dirname(target), name);
    const info = await lstat(folder).catch(() => null);
    if (info?.isDirectory() && info.mtimeMs < before) {
      await rm(folder, { recursive: true, force: true });
    }
  }
}

async function requireVacant(target: string): Promise<void> {
  const names = await readdir(target).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new AppError('conflict', 'The new worktree exists and is not a folder; choose another.');
  });
  if (names.length > 0) {
    throw new AppError('conflict', 'The new worktree exists and is not empty; choose another.');
  }
}

/** One rename, so that the worktree is there as a whole or not at all. Only an empty folder gives way. */
async function putInPlace(staging: string, target: string): Promise<void> {
  const present = await stat(target).catch(() => null);
  if (present) await chmod(staging, present.mode & 0o7777);
  try {
    await rename(staging, target);
  } catch (cause) {
    await requireVacant(target);
    if (present) await rmdir(target);
    await rename(staging, target).catch(() => {
      throw new AppError('conflict', 'The new worktree could not be put in place.', { cause });
    });
  }
}
