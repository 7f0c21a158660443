import { git } from './git.ts';
import type { RepositoryPolicy } from './repository.ts';
import { locateRepository } from './repository.ts';

/** How far back the commits of remotes are looked at. */
const MAX_COMMITS = 500;

/** Our own branches do not count: they are gone after success. */
const ON_REMOTES = ['--exclude=*/checkpoint/*', '--remotes'];

/**
 * Whether saved work is on a remote by now, as far as its repository knows: a remote-tracking branch has its HEAD and
 * nothing was uncommitted, or it has a commit of exactly these files.
 */
export async function hasLanded(work: {
  worktree: string;
  policy: RepositoryPolicy;
  head: string | null;
  /** The tree of the worktree. */
  tree: string;
  isClean: boolean;
  signal: AbortSignal;
}): Promise<boolean> {
  const { gitDir } = await locateRepository(work.worktree, work.policy);
  const where = { gitDir, signal: work.signal, okCodes: [128] };
  if (work.isClean && work.head !== null) {
    const args = ['rev-list', '-n', '1', work.head, '--not', ...ON_REMOTES];
    const { code, stdout } = await git(args, where);
    if (code === 0 && stdout.length === 0) return true;
  }
  const trees = ['log', `--max-count=${MAX_COMMITS}`, '--format=%T', ...ON_REMOTES];
  const { code, stdout } = await git(trees, where);
  return code === 0 && stdout.toString('latin1').split('\n').includes(work.tree);
}
