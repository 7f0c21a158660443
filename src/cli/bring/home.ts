import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { CliError } from '../frame/errors.ts';
import { git, gitLine, tryGit } from './user-git.ts';
import type { Work } from './work.ts';

/** The worktree that the work is brought into. */
export type Home = {
  folder: string;
  /** Null: no commit yet. */
  head: string | null;
  /** Null: detached. */
  branch: string | null;
  isClean: boolean;
  /** What is under way there, or is so unusual that its files are left alone. */
  special: string | null;
};

const UNDER_WAY: Record<string, string> = {
  MERGE_HEAD: 'a merge is under way',
  'rebase-merge': 'a rebase is under way',
  'rebase-apply': 'a rebase is under way',
  CHERRY_PICK_HEAD: 'a cherry-pick is under way',
  REVERT_HEAD: 'a revert is under way',
  BISECT_LOG: 'a bisect is under way',
};

export async function readHome(folder: string): Promise<Home> {
  const [head, branch, sparse] = [
    await tryGit(folder, ['rev-parse', '--quiet', '--verify', 'HEAD^{commit}']),
    await tryGit(folder, ['symbolic-ref', '--quiet', '--short', 'HEAD']),
    await tryGit(folder, ['config', '--bool', 'core.sparseCheckout']),
  ];
  return {
    folder,
    head: head.code === 0 ? head.stdout.toString('utf8').trim() : null,
    branch: branch.code === 0 ? branch.stdout.toString('utf8').trim() : null,
    isClean: await isClean(folder),
    special:
      sparse.stdout.toString('utf8').trim() === 'true'
        ? 'only a part of it is checked out'
        : await underWay(folder),
  };
}

export async function isClean(folder: string): Promise<boolean> {
  const status = ['--no-optional-locks', 'status', '--porcelain', '--untracked-files=all'];
  return (await git(folder, status)).length === 0;
}

async function underWay(folder: string): Promise<string | null> {
  for (const [name, text] of Object.entries(UNDER_WAY)) {
    const path = await gitLine(folder, ['rev-parse', '--git-path', name]);
    if (existsSync(resolve(folder, path))) return text;
  }
  return null;
}

/** Whether the repository has a commit. */
export const hasCommit = async (folder: string, oid: string): Promise<boolean> =>
  (await tryGit(folder, ['cat-file', '-e', `${oid}^{commit}`])).code === 0;

export const isAncestor = async (folder: string, one: string, of: string): Promise<boolean> =>
  (await tryGit(folder, ['merge-base', '--is-ancestor', one, of])).code === 0;

/**
 * Checks that the work came from this repository: it has one of the commits that the work builds on.
 *
 * @throws CliError `other_repository`
 */
export async function requireSame(home: Home, work: Work): Promise<void> {
  const roots = await gitLine(work.folder, ['rev-list', '--max-parents=0', work.head]);
  for (const root of roots.split('\n')) if (await hasCommit(home.folder, root)) return;
  // A shallow clone lacks the first commits, and has later ones.
  const all = (await git(work.folder, ['rev-list', work.head])).toString('latin1');
  const check = ['cat-file', '--batch-check=%(objecttype)'];
  const known = (await git(home.folder, check, { stdin: all })).toString('latin1');
  if (/^commit$/m.test(known)) return;
  throw new CliError(
    'other_repository',
    `${home.folder} has none of the commits that the work builds on: it is another repository.`,
    'Call it in the repository that the work came from, or name that with --into.',
  );
}

/** Gives the repository a commit of the work, with all that it needs. No ref is written. */
export async function fetchCommit(home: Home, work: Work, oid: string): Promise<void> {
  if (await hasCommit(home.folder, oid)) return;
  // By a name, as not every git gives out a commit by its id.
  await git(work.folder, ['update-ref', 'refs/defib/brought', oid]);
  const how = ['--quiet', '--no-tags', '--no-write-fetch-head', '--no-auto-maintenance'];
  await git(home.folder, ['fetch', ...how, work.folder, 'refs/defib/brought']);
}
