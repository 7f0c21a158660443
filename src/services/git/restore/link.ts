import { randomUUID } from 'node:crypto';
import { copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type Checkpoint, readCheckpoint } from '../checkpoint.ts';
import { git } from '../git.ts';
import { refGit } from '../publish.ts';
import { locateRepository, type Repository, type RepositoryPolicy } from '../repository.ts';

export type LinkOptions = {
  /** A restored worktree, with a repository of its own. */
  worktree: string;
  /** A worktree of the repository that it is to belong to. */
  of: string;
  /** The checkpoint that was restored. */
  commit: string;
  /** The new branch that its HEAD is to be on, without `refs/heads/`. */
  branch: string;
  policy: RepositoryPolicy;
  signal?: AbortSignal;
};

/**
 * Makes a restored worktree a linked one (`git worktree`) of the repository that it came from, on a branch of its own:
 * what is committed in it is in that repository from then on. Its files and its index stay as they are; the
 * repository that it had goes.
 *
 * Left alone is what cannot be two worktrees of one repository without one disturbing the other: work in which a merge
 * or a rebase is under way, which names branches, a sparse checkout, and a branch without a commit.
 *
 * @returns whether it was linked
 */
export async function linkWorktree(options: LinkOptions): Promise<boolean> {
  const repository = await locateRepository(options.of, options.policy);
  const { gitDir } = repository;
  const checkpoint = await readCheckpoint(options.commit, { gitDir }).catch(() => null);
  if (!checkpoint || !canBeLinked(checkpoint)) return false;
  const { worktree } = options;
  const scratch = join(dirname(worktree), `.link-${randomUUID()}`);
  await mkdir(scratch, { mode: 0o700 });
  try {
    const admin = await addWorktree(repository, checkpoint.head, scratch, options);
    if (admin === undefined) return false;
    await copyFile(join(worktree, '.git', 'index'), join(admin, 'index'));
    await writeFile(join(admin, 'gitdir'), `${join(worktree, '.git')}\n`);
    await rename(join(worktree, '.git'), join(scratch, 'own'));
    await rename(join(scratch, basename(worktree), '.git'), join(worktree, '.git'));
    return true;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

type Linkable = Checkpoint & { head: string };

const canBeLinked = (checkpoint: Checkpoint): checkpoint is Linkable =>
  checkpoint.head !== null &&
  checkpoint.state.operation === null &&
  checkpoint.state.sparse === null;

/** Adds an empty one; of the same name, so that its folder in the repository has that too. */
async function addWorktree(
  repository: Repository,
  head: string,
  scratch: string,
  { worktree, branch, signal }: LinkOptions,
): Promise<string | undefined> {
  const place = join(scratch, basename(worktree));
  const args = ['worktree', 'add', '--quiet', '--no-checkout', '-b', branch, place, head];
  const { code } = await git(args, { ...refGit(repository, signal), okCodes: [1, 128, 255] });
  if (code !== 0) return undefined;
  const text = await readFile(join(place, '.git'), 'utf8');
  return /^gitdir: (.+?)\n?$/.exec(text)?.[1];
}
