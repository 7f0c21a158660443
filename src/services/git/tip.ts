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
};

/**
 * Where the session's checkpoint branch stands in the worktree's repository, against where it is
 * `recorded`. Who moved the branch and died before it was recorded, or could not reach the service,
 * leaves the branch one or more checkpoints ahead: then the next one follows that, and nothing of it is
 * lost.
 */
export async function readTip(options: {
  worktree: string;
  policy: RepositoryPolicy;
  ref: string;
  recorded: string | null;
  signal?: AbortSignal;
}): Promise<Tip> {
  const repository = await locateRepository(options.worktree, options.policy);
  const repo = refGit(repository, options.signal);
  const at = await readRef(requireCheckpointRef(options.ref), repo);
  if (at === null || at === options.recorded) return { at, previous: options.recorded };
  return { at, previous: (await isAhead(at, options.recorded, repo)) ? at : options.recorded };
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
