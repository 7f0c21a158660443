import { join } from 'node:path';
import { readCheckpoint } from '../../services/git/checkpoint.ts';
import { displayPath } from '../../services/git/names.ts';
import { splitNul } from '../../services/git/git.ts';
import { CliError } from '../frame/errors.ts';
import { git, gitLine, tryGit } from './user-git.ts';

/** Saved work, restored in a scratch repository, as it is to be brought home. */
export type Work = {
  /** The scratch worktree. */
  folder: string;
  /** The tree of all its files, as they are. */
  tree: string;
  /** The commit that it stood at. */
  head: string;
  /** Paths that differ from that, without those that only git's conversions make differ. */
  changed: Buffer[];
  /** A commit whose tree is its index. */
  index: string;
  /** Why it cannot be put into a worktree as it is, such as a merge under way. */
  special: string | null;
};

/** In which order `git status` tells of a path: two letters, a space, and the path. */
const PATH_AT = 3;

/**
 * Reads work that was restored into `folder`.
 *
 * @throws CliError `no_commits`: it stands on no commit, so nobody can tell where it belongs
 */
export async function readWork(folder: string, commit: string): Promise<Work> {
  const checkpoint = await readCheckpoint(commit, { gitDir: join(folder, '.git') });
  const head = checkpoint?.head;
  if (!checkpoint || !head) {
    throw new CliError(
      'no_commits',
      'The work stands on no commit, so it cannot be told which repository it belongs to.',
      'Get it as a folder of its own with "defib restore".',
    );
  }
  const status = ['status', '--porcelain', '-z', '--untracked-files=all', '--no-renames'];
  const entries = splitNul(await git(folder, status)).map((record) => ({
    code: record.subarray(0, 2).toString('latin1'),
    path: Buffer.from(record.subarray(PATH_AT)),
  }));
  const unmerged = entries.find(({ code }) => /U|AA|DD/.test(code));
  const { operation } = checkpoint.state;
  return {
    folder,
    tree: checkpoint.tree,
    head,
    changed: entries.map(({ path }) => path),
    index: await commitTree(folder, checkpoint.indexTree, { parent: head, message: 'index' }),
    special:
      operation === null
        ? unmerged
          ? `${displayPath(unmerged.path)} has conflicts`
          : null
        : `a ${operation} was under way`,
  };
}

/** Everything that is uncommitted, as a commit on top of the head; the head where nothing is. */
export async function commitWork(
  work: Work,
  options: { message: string; at: string },
): Promise<string> {
  const { folder, head, changed } = work;
  if (changed.length === 0) return head;
  // As the user's own `git add` would do it, with his conversions; if their programs are not here, as the bytes are.
  const added = await tryGit(folder, ['add', '--all']);
  const tree = added.code === 0 ? await gitLine(folder, ['write-tree']) : work.tree;
  return await commitTree(folder, tree, { parent: head, ...options });
}

/** The same content at the same time is the same commit: brought twice, it is there once. */
async function commitTree(
  folder: string,
  tree: string,
  { parent, message, at }: { parent: string; message: string; at?: string },
): Promise<string> {
  const asked = await tryGit(folder, ['var', 'GIT_COMMITTER_IDENT']);
  const own = asked.code === 0 && at !== undefined;
  const identity = own ? {} : named('AUTHOR', 'COMMITTER');
  const time = at ?? '2000-01-01T00:00:00Z';
  return await gitLine(folder, ['commit-tree', tree, '-p', parent, '-m', message], {
    env: { ...identity, GIT_AUTHOR_DATE: time, GIT_COMMITTER_DATE: time },
  });
}

const named = (...roles: string[]): Record<string, string> =>
  Object.fromEntries(
    roles.flatMap((role) => [
      [`GIT_${role}_NAME`, 'Defib'],
      [`GIT_${role}_EMAIL`, 'checkpoint@defib.invalid'],
    ]),
  );
