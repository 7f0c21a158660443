import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  captureIn,
  commitAll,
  filesOf,
  gitLine,
  pictureOf,
  put,
  restoreFrom,
  sandbox,
  seeded,
  standOf,
  statusOf,
  userGit,
} from './helpers.ts';
import type { Sandbox } from './helpers.ts';

/*
 * The index may name a blob that is nowhere at hand, while a file with the very same content lies in the
 * worktree: to git nothing changed, so nothing would be hashed, and the checkpoint would lack the content.
 */

/** A sparse clone without the blobs of `b`, whose remote is gone. */
function sparsePartial(): Sandbox {
  const box = sandbox();
  for (const path of ['a/1', 'b/2', 'b/3', 'root']) put(box.repo, path, `${path}\n`);
  commitAll(box.repo);
  userGit(box.repo, ['config', 'uploadpack.allowFilter', 'true']);
  renameSync(box.repo, join(box.root, 'upstream'));
  const how = ['clone', '--quiet', '--filter=blob:none', '--sparse'];
  userGit(box.root, [...how, `file://${box.root}/upstream`, 'repo']);
  userGit(box.repo, ['sparse-checkout', 'set', 'a']);
  renameSync(join(box.root, 'upstream'), join(box.root, 'away'));
  return box;
}

async function expectRestored(box: Sandbox, commit: string, name: string): Promise<void> {
  const target = join(box.root, name);
  const { worktree } = await restoreFrom(box, commit, { target });
  expect(filesOf(worktree)).toEqual(filesOf(box.repo));
  // A file outside the cone that is there is no longer marked as left out once git has looked.
  userGit(box.repo, ['status']);
  userGit(worktree, ['status']);
  expect(standOf(worktree)).toEqual(standOf(box.repo));
}

test('a file written again as it was, whose blob was never fetched, is saved at first and later', async () => {
  const box = sparsePartial();
  put(box.repo, 'b/2', 'b/2\n');
  const first = await captureIn(box);
  await expectRestored(box, first.commit, 'first');
  put(box.repo, 'b/3', 'b/3\n');
  const second = await captureIn(box, { number: 2, previous: first.commit });
  await expectRestored(box, second.commit, 'second');
});

test('a file whose blob was lost is saved from the worktree', async () => {
  const box = seeded();
  const oid = gitLine(box.repo, 'rev-parse', 'HEAD:a.txt');
  rmSync(join(box.repo, '.git/objects', oid.slice(0, 2), oid.slice(2)));
  const saved = await captureIn(box);
  const { worktree } = await restoreFrom(box, saved.commit);
  expect(filesOf(worktree)).toEqual(filesOf(box.repo));
});

test('a rehearsal notices that a blob was lost between captures, and the file is hashed', async () => {
  const box = seeded();
  const first = await captureIn(box);
  const oid = gitLine(box.repo, 'rev-parse', 'HEAD:a.txt');
  rmSync(join(box.repo, '.git/objects', oid.slice(0, 2), oid.slice(2)));
  put(box.repo, 'new.txt', 'new\n');
  const later = { number: 2, previous: first.commit, rehearsalRate: 1 };
  const saved = await captureIn(box, later);
  expect(saved.warnings).toEqual([]);
  const { worktree } = await restoreFrom(box, saved.commit);
  expect(filesOf(worktree)).toEqual(filesOf(box.repo));
});

test('what a sparse partial clone never fetched is not missed when HEAD is another', async () => {
  const box = sparsePartial();
  userGit(box.repo, ['checkout', '--quiet', '--orphan', 'orphan']);
  put(box.repo, 'a/1', 'changed\n');
  const before = pictureOf(box.repo);
  const saved = await captureIn(box);
  expect(pictureOf(box.repo)).toEqual(before);
  expect(saved.warnings).toEqual([]);
  const { worktree } = await restoreFrom(box, saved.commit);
  expect(filesOf(worktree)).toEqual(filesOf(box.repo));
  expect(statusOf(worktree)).toBe(statusOf(box.repo));
});

test('neither a rehearsal nor a restore renews a time in a repository whose trees are packed', async () => {
  const sparse = sparsePartial();
  put(sparse.repo, 'a/1', 'changed\n');
  for (const number of [1, 2, 3]) {
    const box = { ...sparse, privateDir: join(sparse.root, `private-${number}`) };
    const before = pictureOf(box.repo);
    const saved = await captureIn(box, { number });
    await restoreFrom(box, saved.commit, { target: join(box.root, `restored-${number}`) });
    expect(pictureOf(box.repo)).toEqual(before);
  }
});
