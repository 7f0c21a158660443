import { readCheckpoint } from './checkpoint.ts';
import { git } from './git.ts';
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
 * `recorded`. A process that died between moving the branch and recording it leaves the branch one
 * checkpoint ahead: then the next one follows that, and nothing of it is lost.
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
  const checkpoint = await readCheckpoint(at, repo).catch(() => null);
  const ahead = checkpoint !== null && checkpoint.previous === options.recorded;
  return { at, previous: ahead ? at : options.recorded };
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
