import { AppError } from '../../errors.ts';
import type { GitOptions } from './git.ts';
import { git, gitFailed } from './git.ts';
import { requireCheckpointRef, requireOid } from './names.ts';
import { requirePlainPath, sweepLock, writerOf } from './own-refs.ts';
import type { Repository, RepositoryPolicy } from './repository.ts';
import { locateRepository } from './repository.ts';
import { transferObjects } from './transfer.ts';

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
  await transferObjects({
    repository,
    privateDir: options.privateDir,
    commit,
    have: expected,
    signal: options.signal,
  });
  await options.onStage?.('objects');
  await swapRef(repository, ref, commit, expected, options.signal);
  await options.onStage?.('moved');
}

async function swapRef(
  repository: Repository,
  ref: string,
  commit: string,
  expected: string | null,
  signal: AbortSignal | undefined,
): Promise<void> {
  const options = refGit(repository, signal);
  const args = ['update-ref', '--no-deref', ref, commit, expected ?? '0'.repeat(commit.length)];
  let result = await git(args, { ...options, okCodes: [1, 128] });
  if (result.code !== 0 && (await sweepLock(repository, ref))) {
    result = await git(args, { ...options, okCodes: [1, 128] });
  }
  if (result.code === 0 || (await readRef(ref, options)) === commit) return;
  if (/File exists|Unable to create/.test(result.stderr)) {
    throw new AppError('unavailable', 'The checkpoint branch is locked by another process.', {
      transient: true,
    });
  }
  if (/but expected|already exists|cannot lock ref|exists; cannot create/.test(result.stderr)) {
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
