import { type Checkpoint, readCheckpoint } from './checkpoint.ts';
import { git, type GitOptions } from './git.ts';
import { requireCheckpointRef } from './names.ts';
import { readRef, refGit } from './publish.ts';
import { locateRepository, type RepositoryPolicy } from './repository.ts';

export type Tip = {
  /** Where the checkpoint branch is now; null: there is none. */
  at: string | null;
  /** The commit that the next checkpoint follows. */
  previous: string | null;
  /** Whether it is where we left it, or nowhere; else somebody else moved it. */
  isOurs: boolean;
};

/**
 * Where the session's checkpoint branch stands in the worktree's repository, against where it is
 * `recorded`. Who moved the branch and died before it was recorded, or could not reach the service,
 * leaves the branch one or more checkpoints ahead: then the next one follows that, and nothing of it is
 * lost. Where a move has failed, it stands behind.
 */
export async function readTip(options: {
  worktree: string;
  policy: RepositoryPolicy;
  ref: string;
  recorded: string | null;
  privateDir: string;
  signal?: AbortSignal;
}): Promise<Tip> {
  const { recorded, privateDir, signal } = options;
  const repository = await locateRepository(options.worktree, options.policy);
  const repo = refGit(repository, signal);
  const at = await readRef(requireCheckpointRef(options.ref), repo);
  if (at === null || at === recorded) return { at, previous: recorded, isOurs: true };
  if (await isAhead(at, recorded, repo)) return { at, previous: at, isOurs: true };
  const isOurs = recorded !== null && (await isBehind(at, recorded, privateDir, repo));
  return { at, previous: recorded, isOurs };
}

/** Whether a commit is a checkpoint, and the recorded one is among those before it. */
async function isAhead(at: string, recorded: string | null, repo: GitOptions): Promise<boolean> {
  let commit: string | null = at;
  while (commit !== null && commit !== recorded) {
    const checkpoint: Checkpoint | null = await readCheckpoint(commit, repo).catch(() => null);
    if (checkpoint === null) return false;
    commit = checkpoint.previous;
  }
  return commit === recorded;
}

/** Whether a commit is a checkpoint before the recorded one. */
async function isBehind(
  at: string,
  recorded: string,
  privateDir: string,
  repo: GitOptions,
): Promise<boolean> {
  const checkpoint = await readCheckpoint(at, repo).catch(() => null);
  const where = { gitDir: privateDir, ...(repo.signal && { signal: repo.signal }) };
  return checkpoint !== null && (await isReachable(at, recorded, where));
}

/** Whether a commit is another one, or among its ancestors, as far as this repository knows. */
export async function isReachable(
  commit: string,
  from: string,
  options: { gitDir: string; signal?: AbortSignal },
): Promise<boolean> {
  const { code } = await git(['merge-base', '--is-ancestor', commit, from], {
    ...options,
    okCodes: [1, 128],
  });
  return code === 0;
}
