import { expect, test } from 'vitest';
import { readCheckpoint } from '../../../src/services/git/checkpoint.ts';
import { patchBetween, summarizeChanges } from '../../../src/services/git/diff.ts';
import { captureIn, put, sandbox, seeded, userGit } from './helpers.ts';
import type { Sandbox } from './helpers.ts';

async function summary(box: Sandbox) {
  const { commit } = await captureIn(box);
  const saved = await readCheckpoint(commit, { gitDir: box.privateDir });
  const { head = null, index = '' } = saved ?? {};
  return summarizeChanges({ privateDir: box.privateDir, commit, head, index });
}

test('tells staged from unstaged, text from binary', async () => {
  const box = seeded();
  put(box.repo, 'a.txt', 'one\ntwo\n');
  userGit(box.repo, ['add', 'a.txt']);
  put(box.repo, 'a.txt', 'one\n2\n3\n');
  put(box.repo, 'new.bin', Buffer.from([0, 1, 2]));
  expect(await summary(box)).toEqual({
    staged: {
      insertions: 1,
      deletions: 0,
      files: [{ path: 'a.txt', insertions: 1, deletions: 0, binary: false }],
    },
    unstaged: {
      insertions: 2,
      deletions: 1,
      files: [
        { path: 'a.txt', insertions: 2, deletions: 1, binary: false },
        { path: 'new.bin', insertions: 0, deletions: 0, binary: true },
      ],
    },
  });
});

test('works on a branch without commits', async () => {
  const box = sandbox();
  put(box.repo, 'first.txt', 'first\n');
  userGit(box.repo, ['add', 'first.txt']);
  expect((await summary(box)).staged.insertions).toBe(1);
});

test('a patch is the uncommitted work, cut off at the cap', async () => {
  const box = seeded();
  put(box.repo, 'a.txt', 'changed\n');
  const { commit, head } = await captureIn(box);
  const options = { privateDir: box.privateDir, commit, from: head ?? '' };
  const { patch, complete } = await patchBetween({ ...options, maxBytes: 10_000 });
  expect(complete).toBe(true);
  expect(patch.toString()).toContain('-one\n+changed\n');
  const cut = await patchBetween({ ...options, maxBytes: 20 });
  expect(cut).toEqual({ patch: patch.subarray(0, 20), complete: false });
});
