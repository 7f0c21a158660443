import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  captureIn,
  commitAll,
  gitLine,
  namesIn,
  pictureOf,
  privateGit,
  put,
  seeded,
  showFile,
  userGit,
} from './helpers.ts';

test('saves tracked, untracked and deleted files, exec bits and links, and touches nothing', async () => {
  const box = seeded();
  put(box.repo, 'a.txt', 'changed\n');
  put(box.repo, 'staged.txt', 'staged\n');
  userGit(box.repo, ['add', 'staged.txt']);
  put(box.repo, 'staged.txt', 'staged, then changed\n');
  put(box.repo, 'new dir/new.txt', 'new\n');
  rmSync(join(box.repo, 'dir'), { recursive: true });
  symlinkSync('/etc/passwd', join(box.repo, 'link'));
  chmodSync(join(box.repo, 'run.sh'), 0o644);
  const before = pictureOf(box.repo);

  const saved = await captureIn(box);

  expect(pictureOf(box.repo)).toEqual(before);
  expect(namesIn(box, saved.commit)).toEqual([
    'a.txt',
    'link',
    'new dir/new.txt',
    'run.sh',
    'staged.txt',
  ]);
  expect(showFile(box, saved.commit, 'a.txt').toString()).toBe('changed\n');
  expect(showFile(box, saved.commit, 'staged.txt').toString()).toBe('staged, then changed\n');
  expect(showFile(box, saved.indexTree, 'staged.txt').toString()).toBe('staged\n');
  const modes = privateGit(box, 'ls-tree', saved.commit, 'link', 'run.sh').toString();
  expect(modes).toMatch(/^120000 .*link\n100644 .*run\.sh\n$/);
  expect(saved).toMatchObject({ branch: 'main', changed: true, filesChanged: 6, notCaptured: [] });
  expect(privateGit(box, 'fsck', '--strict', '--no-dangling', saved.commit).toString()).toBe('');
});

test('the parents are HEAD, the index and the previous checkpoint; the diff to HEAD is the uncommitted work', async () => {
  const box = seeded();
  put(box.repo, 'a.txt', 'v1\n');
  const first = await captureIn(box);
  put(box.repo, 'a.txt', 'v2\n');
  const second = await captureIn(box, { number: 2, previous: first.commit });

  const head = gitLine(box.repo, 'rev-parse', 'HEAD');
  const parents = privateGit(box, 'log', '-1', '--format=%P', second.commit).toString().trim();
  expect(parents.split(' ')).toEqual([head, expect.any(String), first.commit]);
  const index = privateGit(box, 'rev-parse', `${second.commit}^2^{tree}`).toString().trim();
  expect(index).toBe(second.indexTree);
  const diff = privateGit(box, 'diff', '--name-status', `${second.commit}^1`, second.commit);
  expect(diff.toString()).toBe('M\ta.txt\n');
});

test('an unchanged worktree makes no new commit; a commit by the agent does', async () => {
  const box = seeded();
  put(box.repo, 'a.txt', 'v1\n');
  const first = await captureIn(box);
  const again = await captureIn(box, { number: 2, previous: first.commit });
  expect(again).toMatchObject({ changed: false, commit: first.commit, tree: first.tree });

  const head = commitAll(box.repo);
  const after = await captureIn(box, { number: 2, previous: first.commit });
  expect(after).toMatchObject({ changed: true, tree: first.tree, head, filesChanged: 0 });
});

test('a move of HEAD, of the branch or of the index alone makes a new checkpoint', async () => {
  const box = seeded();
  let last = await captureIn(box);
  const moves = [
    ['commit', '--quiet', '--allow-empty', '-m', 'empty'],
    ['branch', '-m', 'renamed'],
    ['rm', '--quiet', '--cached', 'a.txt'],
    ['update-index', '--assume-unchanged', 'run.sh'],
  ];
  for (const move of moves) {
    userGit(box.repo, move);
    const next = await captureIn(box, { number: 2, previous: last.commit });
    expect(next, move.join(' ')).toMatchObject({ changed: true, tree: last.tree });
    last = next;
  }
});

test('follows the agent through commits, a rebase and a switch of branch', async () => {
  const box = seeded();
  put(box.repo, 'a.txt', 'work\n');
  let last = await captureIn(box);
  const step = async (act: () => void): Promise<void> => {
    act();
    last = await captureIn(box, { number: 2, previous: last.commit });
    const saved = privateGit(
      box,
      'diff',
      '--no-renames',
      '--name-only',
      `${last.commit}^1`,
      last.commit,
    ).toString();
    const open = userGit(box.repo, ['status', '--porcelain', '-uall', '--no-renames']).toString();
    expect(saved.split('\n').filter(Boolean)).toEqual(
      open
        .split('\n')
        .filter(Boolean)
        .map((line) => line.slice(3))
        .sort(),
    );
    expect(last.head).toBe(gitLine(box.repo, 'rev-parse', 'HEAD'));
  };
  await step(() => commitAll(box.repo, 'work'));
  await step(() => put(box.repo, 'more.txt', 'more\n'));
  await step(() => {
    userGit(box.repo, ['checkout', '--quiet', '-b', 'topic', 'HEAD~1']);
    put(box.repo, 'topic.txt', 'topic\n');
    userGit(box.repo, ['add', 'topic.txt']);
    userGit(box.repo, ['commit', '--quiet', '-m', 'topic']);
  });
  await step(() => userGit(box.repo, ['rebase', '--quiet', 'main']));
  await step(() => renameSync(join(box.repo, 'a.txt'), join(box.repo, 'z.txt')));
  expect(last.branch).toBe('topic');
});

test('file and folder may change places', async () => {
  const box = seeded();
  const first = await captureIn(box);
  rmSync(join(box.repo, 'dir'), { recursive: true });
  put(box.repo, 'dir', 'now a file\n');
  unlinkSync(join(box.repo, 'a.txt'));
  put(box.repo, 'a.txt/inner.txt', 'now a folder\n');
  const second = await captureIn(box, { number: 2, previous: first.commit });
  expect(namesIn(box, second.commit)).toEqual(['a.txt/inner.txt', 'dir', 'run.sh']);
});

test('a folder that became a link does not lead out of the worktree', async () => {
  const box = seeded();
  mkdirSync(join(box.root, 'outside'));
  put(box.root, 'outside/b.txt', 'secret of another\n');
  rmSync(join(box.repo, 'dir'), { recursive: true });
  symlinkSync('../outside', join(box.repo, 'dir'));
  const saved = await captureIn(box);
  expect(namesIn(box, saved.commit)).toEqual(['a.txt', 'dir', 'run.sh']);
  expect(showFile(box, saved.commit, 'dir').toString()).toBe('../outside');
});

test('the same worktree, time and session give the same commit', async () => {
  const box = seeded();
  put(box.repo, 'a.txt', 'v1\n');
  const first = await captureIn(box);
  const elsewhere = await captureIn(box, { privateDir: join(box.root, 'other') });
  expect(elsewhere.commit).toBe(first.commit);
});
