import { existsSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { readHead } from '../../services/git/head.ts';
import { locateRepository, type RepositoryPolicy } from '../../services/git/repository.ts';

/**
 * On the user's own machine and by the user's own word, any worktree may be captured: roots are there to
 * keep a service away from the files of others. Its repository may lie elsewhere, as that of a linked
 * worktree does.
 */
export const OWN_MACHINE: RepositoryPolicy = { roots: ['/'], owners: 'any' };

/** The top of the git worktree that a folder lies in; null: in none. Found as git finds it. */
export function worktreeOf(folder: string, env: NodeJS.ProcessEnv): string | null {
  const ceilings = (env['GIT_CEILING_DIRECTORIES'] ?? '').split(delimiter);
  for (let at = realpathSync(folder); ; at = dirname(at)) {
    if (existsSync(join(at, '.git'))) return at;
    if (at === dirname(at) || ceilings.includes(dirname(at))) return null;
  }
}

/** The branch that is checked out; undefined where HEAD is detached. */
export async function branchOf(worktree: string): Promise<string | undefined> {
  const repository = await locateRepository(worktree, OWN_MACHINE);
  const { branch } = await readHead(repository, undefined);
  return branch ?? undefined;
}
