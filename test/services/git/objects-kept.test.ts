import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkpointRef } from '../../../src/services/git/names.ts';
import type { PublishOptions } from '../../../src/services/git/publish.ts';
import { moveCheckpointRef } from '../../../src/services/git/publish.ts';
import { readTip } from '../../../src/services/git/tip.ts';
import {
  AGENT,
  captureIn,
  commitAll,
  filesOf,
  gitLine,
  put,
  restoreFrom,
  seeded,
  SESSION,
  userGit,
} from './helpers.ts';
import type { Sandbox } from './helpers.ts';

const REF = checkpointRef(AGENT, SESSION);

/** One checkpoint as the service makes it: from where the branch is, to where it belongs. */
async function checkpoint(box: Sandbox, last: string | null, over: Partial<PublishOptions> = {}) {
  const place = { worktree: box.repo, policy: { roots: [box.root] }, ref: REF };
  const { privateDir } = box;
  const tip = await readTip({ ...place, privateDir, recorded: last });
  const saved = await captureIn(box, { number: 2, previous: tip.previous });
  await moveCheckpointRef({
    ...place,
    privateDir,
    commit: saved.commit,
    expected: tip.isOurs ? tip.at : tip.previous,
    ...over,
  });
  return saved;
}

/** The objects that a checkpoint has and HEAD has not. */
const ownObjects = (repo: string, commit: string): string[] =>
  gitLine(repo, 'rev-list', '--objects', '--no-object-names', commit, '^HEAD').split('\n');

const fileOf = (folder: string, oid: string) => join(folder, oid.slice(0, 2), oid.slice(2));
const inRepo = (box: Sandbox, oid: string) => fileOf(join(box.repo, '.git/objects'), oid);
const inStore = (box: Sandbox, oid: string) => fileOf(join(box.privateDir, 'store'), oid);

const fsck = (repo: string): string =>
  userGit(repo, ['fsck', '--strict', '--no-dangling', '--connectivity-only']).toString();

/** A prune between the objects and the branch, so many times. */
function pruned(box: Sandbox, times: number): Pick<PublishOptions, 'onStage'> {
  let left = times;
  return {
    onStage: (stage) => {
      if (stage === 'objects' && left-- > 0) userGit(box.repo, ['prune', '--expire=now']);
    },
  };
}

for (const times of [1, 3]) {
  test(`what a prune removes ${times} times between the objects and the branch is put again`, async () => {
    const box = seeded();
    put(box.repo, 'a.txt', 'v1\n');
    const { commit } = await checkpoint(box, null, pruned(box, times));
    expect(gitLine(box.repo, 'rev-parse', REF)).toBe(commit);
    expect(fsck(box.repo)).toBe('');
  });
}

test('a branch that a prune kept from moving is not called moved, and the next checkpoint moves it', async () => {
  const box = seeded();
  put(box.repo, 'a.txt', 'v1\n');
  const first = await checkpoint(box, null);
  put(box.repo, 'a.txt', 'v2\n');
  await expect(checkpoint(box, first.commit, pruned(box, Infinity))).rejects.toMatchObject({
    code: 'unavailable',
    transient: true,
  });
  expect(gitLine(box.repo, 'rev-parse', REF)).toBe(first.commit);
  const second = await captureIn(box, { number: 2, previous: first.commit });
  put(box.repo, 'a.txt', 'v3\n');
  const third = await checkpoint(box, second.commit);
  expect(gitLine(box.repo, 'rev-parse', REF)).toBe(third.commit);
  expect(gitLine(box.repo, 'rev-parse', `${REF}^3`)).toBe(second.commit);
  expect(fsck(box.repo)).toBe('');
});

test('what a gc that looked before the branch was moved removes after it is put again', async () => {
  const box = seeded();
  put(box.repo, 'a.txt', 'v1\n');
  await checkpoint(box, null, {
    onStage: (stage) => {
      if (stage !== 'moved') return;
      for (const oid of ownObjects(box.repo, REF)) rmSync(inRepo(box, oid));
    },
  });
  expect(fsck(box.repo)).toBe('');
});

for (const changed of [true, false]) {
  test(`the next checkpoint repairs the branch, ${changed ? 'after a change' : 'unchanged'}`, async () => {
    const box = seeded();
    put(box.repo, 'a.txt', 'v1\n');
    const first = await checkpoint(box, null);
    put(box.repo, 'a.txt', 'v2\n');
    const second = await checkpoint(box, first.commit);
    for (const oid of ownObjects(box.repo, REF)) rmSync(inRepo(box, oid));
    expect(() => fsck(box.repo)).toThrow();
    if (changed) put(box.repo, 'a.txt', 'v3\n');
    await checkpoint(box, second.commit);
    expect(fsck(box.repo)).toBe('');
    userGit(box.repo, ['gc', '--quiet', '--prune=now']);
  });
}

test('objects that nobody has any more are made anew, and no branch leads to nowhere', async () => {
  const box = seeded();
  put(box.repo, 'a.txt', 'v1\n');
  const first = await checkpoint(box, null);
  put(box.repo, 'b.txt', 'v2\n');
  const second = await checkpoint(box, first.commit);
  const lost = gitLine(box.repo, 'rev-parse', `${REF}:b.txt`);
  rmSync(inRepo(box, lost));
  rmSync(inStore(box, lost));
  const broken = checkpoint(box, second.commit);
  await expect(broken).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringMatching(/make it again/) as string,
  });
  expect(() => gitLine(box.repo, 'rev-parse', '--verify', REF)).toThrow();
  expect(fsck(box.repo)).toBe('');
  const third = await checkpoint(box, second.commit);
  expect(third.warnings.join()).toMatch(/previous checkpoint is gone/);
  expect(fsck(box.repo)).toBe('');
  const { worktree } = await restoreFrom(box, third.commit);
  expect(filesOf(worktree)).toEqual(filesOf(box.repo));
});

test('a staged blob that is unstaged and pruned before the branch is moved is made anew', async () => {
  const box = seeded();
  put(box.repo, 'staged.txt', 'only in the index\n');
  userGit(box.repo, ['add', 'staged.txt']);
  const saved = await captureIn(box);
  userGit(box.repo, ['reset', '--quiet']);
  userGit(box.repo, ['prune', '--expire=now']);
  const place = { worktree: box.repo, policy: { roots: [box.root] }, ref: REF };
  const moved = moveCheckpointRef({
    ...place,
    privateDir: box.privateDir,
    commit: saved.commit,
    expected: null,
  });
  await expect(moved).rejects.toMatchObject({ code: 'conflict' });
  await checkpoint(box, null);
  expect(fsck(box.repo)).toBe('');
  expect(gitLine(box.repo, 'show', `${REF}:staged.txt`)).toBe('only in the index');
});

test('no time of an object or pack of the user is renewed by checkpoints and a restore', async () => {
  const box = seeded();
  put(box.repo, 'empty', '');
  commitAll(box.repo);
  userGit(box.repo, ['gc', '--quiet']);
  put(box.repo, 'planned', 'planned\n');
  userGit(box.repo, ['add', '-N', 'planned']);
  let last: string | null = null;
  for (const text of ['one', 'two', 'one', 'two']) {
    put(box.repo, 'a.txt', text);
    put(box.repo, 'dir/loose.txt', text);
    const before = age(box.repo);
    last = (await checkpoint(box, last)).commit;
    expect(timesOf(box.repo)).toMatchObject(before);
  }
  const before = age(box.repo);
  await restoreFrom(box, last ?? '');
  expect(timesOf(box.repo)).toEqual(before);
});

function timesOf(repo: string): Record<string, number> {
  const folder = join(repo, '.git/objects');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const times = files.map((name) => [name, lstatSync(join(folder, name))] as const);
  return Object.fromEntries(times.flatMap(([n, i]) => (i.isFile() ? [[n, i.mtimeMs]] : [])));
}

/** Makes all objects old, so that a new time shows. */
function age(repo: string): Record<string, number> {
  for (const name of Object.keys(timesOf(repo))) {
    utimesSync(join(repo, '.git/objects', name), 1_600_000_000, 1_600_000_000);
  }
  return timesOf(repo);
}

// The user commits nothing meanwhile: a `git prune` beside may delete what a `git commit` just wrote.
test('checkpoints beside gc, prune and repack of the user leave a whole repository', async () => {
  const box = seeded();
  const script = `while [ ! -e ${box.root}/stop ]; do git prune --expire=now; git repack -adq; git gc --quiet --prune=now; done`;
  const other = spawn('sh', ['-c', script], { cwd: box.repo, stdio: 'ignore' });
  let last: string | null = null;
  try {
    for (let n = 1; n <= 8; n += 1) {
      put(box.repo, `${n}.txt`, `${n}\n`);
      const saved: { commit: string } = await checkpoint(box, last);
      last = saved.commit;
    }
  } finally {
    put(box.root, 'stop', '');
    await once(other, 'close');
  }
  await checkpoint(box, last);
  expect(existsSync(join(box.repo, '.git', 'gc.pid'))).toBe(false);
  expect(fsck(box.repo)).toBe('');
});

for (const name of ['checkpoint', `checkpoint/${AGENT}`]) {
  test(`a branch of the user named "${name}" is named as what stands in the way`, async () => {
    const box = seeded();
    userGit(box.repo, ['branch', name]);
    await expect(checkpoint(box, null)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringMatching(`The branch "${name}" .* git branch -m ${name} `) as string,
    });
  });
}
