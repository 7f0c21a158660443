import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../errors.ts';
import type { GitOptions } from './git.ts';
import { git, gitFailed } from './git.ts';
import { requireCheckpointRef, requireOid } from './names.ts';
import { requirePlainPath, sweepLock, writerOf } from './own-refs.ts';
import type { Repository, RepositoryPolicy } from './repository.ts';
import { locateRepository } from './repository.ts';
import { ObjectsGone, ownObjects } from './reachable.ts';
import { cacheFile } from './user-refs.ts';
import { putMissing, type TransferOptions } from './transfer.ts';

export type PublishOptions = {
  /** The worktree whose repository gets the branch. */
  worktree: string;
  privateDir: string;
  policy: RepositoryPolicy;
  /** `refs/heads/checkpoint/<agentName>/<sessionId>` */
  ref: string;
  commit: string;
  /** What the branch must point to now; null when it must not exist. */
  expected: string | null;
  signal?: AbortSignal;
  onStage?: (stage: 'objects' | 'moved') => void | Promise<void>;
};

/**
 * Moves the checkpoint branch in the worktree's own repository by compare-and-swap: the one intended write
 * there. Objects go first, whole and one by one; then the ref. Hooks, reflog, gc and maintenance stay
 * out of it. Repeating a move that was done is no error. `conflict`: the branch is elsewhere.
 */
export async function moveCheckpointRef(options: PublishOptions): Promise<void> {
  const ref = requireCheckpointRef(options.ref);
  const commit = requireOid('The checkpoint', options.commit);
  const expected =
    options.expected === null ? null : requireOid('The expected commit', options.expected);
  const repository = await locateRepository(options.worktree, options.policy);
  await requirePlainPath(repository, ref);
  const { privateDir, signal } = options;
  const transfer = { repository, privateDir, commit, signal };
  try {
    const objects = await ownObjects(transfer);
    for (let tries = 1; ; tries += 1) {
      await putMissing(transfer, objects);
      await options.onStage?.('objects');
      if (await swapRef(repository, ref, commit, expected, signal)) break;
      if (tries === MOVE_TRIES) throw removedMeanwhile();
    }
    await options.onStage?.('moved');
    await keepWhole(transfer, objects);
  } catch (error) {
    if (error instanceof ObjectsGone) await forget(repository, ref, options);
    throw error;
  }
}

/** Each time, a `git prune` may remove what was put before the branch holds it. */
const MOVE_TRIES = 5;

const removedMeanwhile = (): AppError =>
  new AppError(
    'unavailable',
    'The checkpoint branch was not moved: another git removed its objects again and again. The next checkpoint moves it.',
    { transient: true },
  );

const CHECKS = 3;

/**
 * A `git gc --prune=now`, `git prune` or `git repack -ad` that began before the branch was moved deletes what
 * was put for it. What is gone is put again, now that the branch holds it; what is deleted after that,
 * the next checkpoint puts.
 */
async function keepWhole(transfer: TransferOptions, objects: readonly string[]): Promise<void> {
  for (let n = 0; n < CHECKS && (await putMissing(transfer, objects)) > 0; n += 1);
}

/**
 * Objects that nobody has any more can only be made anew, from the files: the next capture is to believe
 * nothing, and a branch of ours that leads to nowhere would make the user's git fail.
 */
async function forget(
  repository: Repository,
  ref: string,
  { privateDir, signal }: PublishOptions,
): Promise<void> {
  await rm(join(privateDir, 'index'), { force: true });
  await rm(cacheFile({ path: privateDir }), { force: true });
  const options = refGit(repository, signal);
  const at = await readRef(ref, options);
  if (at === null) return;
  const whole = await ownObjects({ repository, privateDir, commit: at, signal }).then(
    () => true,
    (error: unknown) => !(error instanceof ObjectsGone),
  );
  if (!whole)
    await git(['update-ref', '--no-deref', '-d', ref, at], { ...options, okCodes: [1, 128] });
}

/** False when the commit was removed again before the branch could hold it. */
async function swapRef(
  repository: Repository,
  ref: string,
  commit: string,
  expected: string | null,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const options = refGit(repository, signal);
  if (commit === expected && (await readRef(ref, options)) === commit) return true;
  const args = ['update-ref', '--no-deref', ref, commit, expected ?? '0'.repeat(commit.length)];
  let result = await git(args, { ...options, okCodes: [1, 128] });
  if (result.code !== 0 && (await sweepLock(repository, ref))) {
    result = await git(args, { ...options, okCodes: [1, 128] });
  }
  if (result.code === 0 || (await readRef(ref, options)) === commit) return true;
  if (/nonexistent object/.test(result.stderr)) return false;
  if (/File exists|Unable to create/.test(result.stderr)) {
    throw new AppError('unavailable', 'The checkpoint branch is locked by another process.', {
      transient: true,
    });
  }
  const other = /'refs\/heads\/([^']+)' exists; cannot create/.exec(result.stderr)?.[1];
  if (other !== undefined) {
    throw new AppError(
      'conflict',
      `The branch "${other}" of the repository stands where the checkpoint branch ${ref.slice('refs/heads/'.length)} belongs. Give it another name: git branch -m ${other} <new name>`,
    );
  }
  if (/but expected|already exists|cannot lock ref/.test(result.stderr)) {
    throw new AppError(
      'conflict',
      `The branch ${ref.slice('refs/heads/'.length)} is not where the last checkpoint left it; it was not moved.`,
    );
  }
  throw gitFailed(args, result.code, result.stderr);
}

/** Options for changing refs of the user's repository: no reflog, and as its owner when this is root. */
export function refGit(repository: Repository, signal: AbortSignal | undefined): GitOptions {
  return {
    gitDir: repository.gitDir,
    cwd: '/',
    config: [['core.logAllRefUpdates', 'false']],
    runAs: writerOf(repository),
    signal,
  };
}

export async function readRef(ref: string, options: GitOptions): Promise<string | null> {
  const { code, stdout } = await git(['rev-parse', '--verify', '--quiet', ref], {
    ...options,
    okCodes: [1, 128],
  });
  return code === 0 ? stdout.toString('latin1').trim() : null;
}
