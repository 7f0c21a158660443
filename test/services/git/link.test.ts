import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { capture } from '../../../src/services/git/capture.ts';
import { checkpointRef } from '../../../src/services/git/names.ts';
import { moveCheckpointRef } from '../../../src/services/git/publish.ts';
import { linkWorktree } from '../../../src/services/git/restore/link.ts';
import { restore } from '../../../src/services/git/restore/restore.ts';
import { newId } from '../../../src/services/ids.ts';
import { makeDirty } from '../../setup/resumable.ts';
import { commitAll, gitLine, put, sandbox, statusOf, userGit } from './helpers.ts';

const policy = { roots: ['/'], owners: 'any' } as const;

/** A worktree with one commit, dirty, that is saved and restored beside it. */
async function restored(dirty: (worktree: string) => void) {
  const { root, repo: worktree, privateDir } = sandbox();
  put(worktree, 'a.txt', 'one\n');
  put(worktree, 'gone.txt', 'bye\n');
  commitAll(worktree);
  dirty(worktree);
  const id = newId();
  const base = { worktree, policy, privateDir };
  const session = { agentName: 'builder', sessionId: id, number: 1, previous: null };
  const { commit } = await capture({ ...base, ...session, now: new Date() });
  await moveCheckpointRef({ ...base, ref: checkpointRef('builder', id), commit, expected: null });
  const target = join(root, 'other');
  await restore({ target, commit, from: { worktree }, policy });
  return { worktree, target, commit };
}

describe('a restored worktree', () => {
  it('becomes a linked one of its repository, as it is, on a branch of its own', async () => {
    const { worktree, target, commit } = await restored(makeDirty);
    const before = statusOf(worktree);
    const options = { worktree: target, of: worktree, commit, branch: 'defib/one', policy };
    expect(await linkWorktree(options)).toBe(true);
    expect(statusOf(target)).toBe(before);
    expect(statusOf(worktree)).toBe(before);
    expect(gitLine(target, 'symbolic-ref', '--short', 'HEAD')).toBe('defib/one');
    expect(gitLine(worktree, 'worktree', 'list')).toContain(`${target} `);
    userGit(target, [
      '-c',
      'user.name=u',
      '-c',
      'user.email=u@example.com',
      'commit',
      '-qm',
      'more',
    ]);
    // What is committed there is here.
    expect(gitLine(worktree, 'log', '-1', '--format=%s', 'defib/one')).toBe('more');
    expect(gitLine(worktree, 'symbolic-ref', '--short', 'HEAD')).toBe('main');
    expect(gitLine(worktree, 'fsck', '--no-progress')).toBe('');
  });

  it('stays a clone where its branch is there already, or a merge is under way', async () => {
    const { worktree, target, commit } = await restored(makeDirty);
    userGit(worktree, ['branch', 'defib/two']);
    const options = { worktree: target, of: worktree, commit, branch: 'defib/two', policy };
    expect(await linkWorktree(options)).toBe(false);
    expect(existsSync(join(target, '.git', 'HEAD'))).toBe(true);
    expect(gitLine(worktree, 'worktree', 'list').split('\n')).toHaveLength(1);

    const merging = await restored((folder) => {
      userGit(folder, ['checkout', '-q', '-b', 'other']);
      put(folder, 'a.txt', 'two\n');
      commitAll(folder);
      userGit(folder, ['checkout', '-q', 'main']);
      userGit(folder, ['merge', '--no-commit', '--no-ff', 'other']);
    });
    const merge = { ...options, worktree: merging.target, of: merging.worktree };
    expect(await linkWorktree({ ...merge, commit: merging.commit, branch: 'defib/x' })).toBe(false);
  });
});
