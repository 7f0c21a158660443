import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DATA_MARKER, markDataDir } from '../../../src/data-dir.ts';
import { captureIn, commitAll, namesIn, put, seeded, statusOf, userGit } from './helpers.ts';

const REASON = 'ignored: a data directory of Defib';
const FILES = ['credentials.json', 'postgres/base/1/1259', 'git/s/objects/ab/cd', 'agents/x/log'];

/** A data directory as a service leaves it; how git sees it differs. */
async function dataDir(repo: string, path: string, ignoring: boolean): Promise<void> {
  for (const file of FILES) put(repo, `${path}/${file}`, `${file}\n`);
  mkdirSync(join(repo, path, 'scratch'));
  execFileSync('mkfifo', [join(repo, path, 'pipe')]);
  const successor = join(repo, path, 'worktrees/successor');
  mkdirSync(successor, { recursive: true });
  userGit(successor, ['init', '--quiet']);
  put(successor, 'work.txt', 'of another session\n');
  await markDataDir(join(repo, path));
  if (!ignoring) rmSync(join(repo, path, '.gitignore'));
}

test.each([
  ['.defib', true],
  ['.defib', false],
  ['deep/below/state of things', false],
])('no capture takes the data directory %s (ignored by git: %s)', async (path, ignoring) => {
  const box = seeded();
  await dataDir(box.repo, path, ignoring);
  put(box.repo, 'new.txt', 'new\n');
  const first = await captureIn(box);
  const names = ['a.txt', 'dir/b.txt', 'new.txt', 'run.sh'];
  expect(namesIn(box, first.commit)).toEqual(names);
  expect(first.notCaptured).toEqual([{ path: `${path}/`, reason: REASON }]);
  put(box.repo, `${path}/postgres/base/1/2`, 'grown\n');
  put(box.repo, 'later.txt', 'later\n');
  const second = await captureIn(box, { number: 2, previous: first.commit });
  expect(namesIn(box, second.commit)).toEqual([
    ...names.slice(0, 2),
    'later.txt',
    ...names.slice(2),
  ]);
  expect(second.notCaptured).toEqual([{ path: `${path}/`, reason: REASON }]);
});

test('one that was committed is not followed, and one in a nested repository is not taken', async () => {
  const box = seeded();
  await dataDir(box.repo, 'tracked', false);
  rmSync(join(box.repo, 'tracked/worktrees'), { recursive: true });
  commitAll(box.repo);
  put(box.repo, 'tracked/credentials.json', 'a new token\n');
  put(box.repo, 'tracked/agents/y/log', 'new\n');
  mkdirSync(join(box.repo, 'inner'));
  userGit(join(box.repo, 'inner'), ['init', '--quiet']);
  put(box.repo, 'inner/kept.txt', 'kept\n');
  await dataDir(box.repo, 'inner/data', false);
  const { commit, notCaptured } = await captureIn(box);
  const names = namesIn(box, commit);
  expect(names).toContain('inner/kept.txt');
  expect(names.filter((name) => name.startsWith('inner/data'))).toEqual([]);
  expect(names).not.toContain('tracked/agents/y/log');
  const shown = userGit(box.root, [
    `--git-dir=${box.privateDir}`,
    'show',
    `${commit}:tracked/credentials.json`,
  ]);
  expect(shown.toString()).toBe('credentials.json\n');
  const left = notCaptured.filter(({ reason }) => reason === REASON).map(({ path }) => path);
  expect(left.sort()).toEqual(['inner/data/', 'tracked/']);
});

test('a file of that name which says nothing of Defib keeps nothing out', async () => {
  const box = seeded();
  put(box.repo, `mine/${DATA_MARKER}`, 'mine\n');
  put(box.repo, 'mine/file.txt', 'mine\n');
  const { commit, notCaptured } = await captureIn(box);
  expect(namesIn(box, commit)).toContain('mine/file.txt');
  expect(notCaptured).toEqual([]);
});

test('git does not see a marked folder, and a worktree is never marked', async () => {
  const box = seeded();
  const before = statusOf(box.repo);
  await dataDir(box.repo, '.defib', true);
  await markDataDir(box.repo);
  expect(statusOf(box.repo)).toBe(before);
});
