import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Capture } from '../../../src/services/git/capture-types.ts';
import {
  captureIn,
  commitAll,
  filesOf,
  gitLine,
  namesIn,
  put,
  restoreFrom,
  seeded,
  showFile,
  standOf,
  userGit,
} from './helpers.ts';
import type { Sandbox } from './helpers.ts';

/*
 * What the user's index says may change between two captures: flags, and which files are tracked. A later
 * capture must come to what a first one of the same worktree comes to.
 */

/** A later capture, held against a first one in a private directory of its own, and restored. */
async function later(box: Sandbox, first: Capture): Promise<Capture> {
  const saved = await captureIn(box, { number: 2, previous: first.commit });
  const fresh = await captureIn(box, { privateDir: join(box.root, 'fresh', String(next)) });
  expect({ tree: saved.tree, index: saved.indexTree }).toEqual({
    tree: fresh.tree,
    index: fresh.indexTree,
  });
  next += 1;
  const { worktree } = await restoreFrom(box, saved.commit, {
    target: join(box.root, `restored-${next}`),
  });
  expect(standOf(worktree)).toEqual(standOf(box.repo));
  return saved;
}
let next = 0;

function folders(): Sandbox {
  const box = seeded();
  put(box.repo, 'in/x.txt', 'x\n');
  put(box.repo, 'out/y.txt', 'y\n');
  put(box.repo, 'out/deep/z.txt', 'z\n');
  commitAll(box.repo);
  return box;
}

for (const mode of ['--no-sparse-index', '--sparse-index']) {
  test(`a sparse checkout set, moved and ended between captures (${mode})`, async () => {
    const box = folders();
    put(box.repo, 'in/x.txt', 'edited\n');
    const first = await captureIn(box);
    userGit(box.repo, ['sparse-checkout', 'set', '--cone', mode, 'in']);
    put(box.repo, 'in/x.txt', 'edited again\n');
    const sparse = await later(box, first);
    expect(namesIn(box, sparse.commit)).toContain('out/deep/z.txt');
    expect(showFile(box, sparse.commit, 'in/x.txt').toString()).toBe('edited again\n');

    // Another commit of what is left out: the index moves on, no file does.
    const blob = userGit(box.repo, ['hash-object', '-w', '--stdin'], 'newer\n').toString().trim();
    if (mode === '--no-sparse-index') {
      userGit(box.repo, ['update-index', '--cacheinfo', `100644,${blob},out/y.txt`]);
      userGit(box.repo, ['update-index', '--skip-worktree', 'out/y.txt']);
      const moved = await later(box, sparse);
      expect(showFile(box, moved.commit, 'out/y.txt').toString()).toBe('newer\n');
    }
    userGit(box.repo, ['reset', '--quiet', '--', 'out']);
    userGit(box.repo, ['sparse-checkout', 'disable']);
    rmSync(join(box.repo, 'out/y.txt'), { force: true });
    const whole = await later(box, sparse);
    expect(namesIn(box, whole.commit)).not.toContain('out/y.txt');
  });
}

test('a deleted file that is marked skip-worktree after a capture', async () => {
  const box = folders();
  rmSync(join(box.repo, 'out/y.txt'));
  const first = await captureIn(box);
  expect(namesIn(box, first.commit)).not.toContain('out/y.txt');
  userGit(box.repo, ['update-index', '--skip-worktree', 'out/y.txt']);
  const second = await later(box, first);
  userGit(box.repo, ['update-index', '--no-skip-worktree', 'out/y.txt']);
  const third = await later(box, second);
  expect(namesIn(box, third.commit)).not.toContain('out/y.txt');
});

test('a file where a left-out folder belongs, and a left-out file that no branch has any more', async () => {
  const box = folders();
  userGit(box.repo, ['sparse-checkout', 'set', '--cone', 'in']);
  const first = await captureIn(box);
  put(box.repo, 'out', 'a file now\n');
  const saved = await captureIn(box, { number: 2, previous: first.commit });
  expect(showFile(box, saved.commit, 'out').toString()).toBe('a file now\n');
  const { worktree } = await restoreFrom(box, saved.commit);
  expect(filesOf(worktree)).toEqual(filesOf(box.repo));
  rmSync(join(box.repo, 'out'));
  userGit(box.repo, ['rm', '--quiet', '--cached', '--sparse', 'out/y.txt']);
  const third = await later(box, saved);
  expect(namesIn(box, third.commit)).not.toContain('out/y.txt');
});

test('an ignored file that is tracked after a capture is saved from then on', async () => {
  const box = seeded();
  put(box.repo, '.gitignore', 'dist/\n*.log\n');
  put(box.repo, 'dist/other', 'ignored\n');
  put(box.repo, 'a.log', 'ignored\n');
  commitAll(box.repo);
  const first = await captureIn(box);
  put(box.repo, 'dist/x', 'one\n');
  userGit(box.repo, ['add', '-f', 'dist/x', 'a.log']);
  userGit(box.repo, ['commit', '--quiet', '-m', 'tracked though ignored']);
  put(box.repo, 'dist/x', 'one\nhours of work\n');
  const second = await later(box, first);
  expect(showFile(box, second.commit, 'dist/x').toString()).toBe('one\nhours of work\n');
  expect(second.notCaptured).toEqual([{ path: 'dist/other', reason: 'ignored' }]);

  // Gone and back, while the index stands still.
  rmSync(join(box.repo, 'dist/x'));
  const third = await later(box, second);
  expect(namesIn(box, third.commit)).not.toContain('dist/x');
  put(box.repo, 'dist/x', 'written anew\n');
  const fourth = await later(box, third);
  expect(showFile(box, fourth.commit, 'dist/x').toString()).toBe('written anew\n');
});

test('a switch to a branch that tracks an ignored file', async () => {
  const box = seeded();
  userGit(box.repo, ['checkout', '--quiet', '-b', 'side']);
  put(box.repo, 'dist/x', 'tracked\n');
  commitAll(box.repo);
  userGit(box.repo, ['checkout', '--quiet', 'main']);
  put(box.repo, '.git/info/exclude', 'dist/\n');
  const first = await captureIn(box);
  userGit(box.repo, ['checkout', '--quiet', 'side']);
  const second = await later(box, first);
  expect(showFile(box, second.commit, 'dist/x').toString()).toBe('tracked\n');
  userGit(box.repo, ['checkout', '--quiet', 'main']);
  const third = await later(box, second);
  expect(namesIn(box, third.commit)).not.toContain('dist/x');
});

test('a submodule that comes and goes between captures', async () => {
  const box = seeded();
  const lib = join(box.root, 'lib');
  mkdirSync(lib);
  userGit(lib, ['init', '--quiet']);
  writeFileSync(join(lib, 'lib.txt'), 'lib\n');
  const head = commitAll(lib);
  const first = await captureIn(box);
  userGit(box.repo, ['update-index', '--add', '--cacheinfo', `160000,${head},lib`]);
  mkdirSync(join(box.repo, 'lib'));
  const second = await later(box, first);
  expect(gitLine(box.root, '--git-dir', box.privateDir, 'rev-parse', `${second.commit}:lib`)).toBe(
    head,
  );
  userGit(box.repo, ['rm', '--quiet', '--cached', 'lib']);
  const third = await later(box, second);
  expect(namesIn(box, third.commit)).not.toContain('lib');
});
