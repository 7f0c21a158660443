import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  captureIn,
  filesOf,
  gitLine,
  pictureOf,
  put,
  restoreFrom,
  seeded,
  standOf,
  userGit,
} from './helpers.ts';
import type { Sandbox } from './helpers.ts';

/** Changes what an earlier capture noted of the user's index, as a torn disk or a defect would. */
function misremember(box: Sandbox, change: (staged: Record<string, unknown>) => void): void {
  const file = join(box.privateDir, 'staged.json');
  const staged = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  change(staged);
  writeFileSync(file, JSON.stringify(staged));
}

test('a checkpoint that would come back differently is made again without believing any cache', async () => {
  const box = seeded();
  put(box.repo, 'a.txt', 'staged\n');
  userGit(box.repo, ['add', 'a.txt']);
  const first = await captureIn(box);
  misremember(box, (staged) => {
    staged['flags'] = Buffer.from('s no/such/path\0').toString('base64');
  });
  put(box.repo, 'new.txt', 'new\n');
  const before = pictureOf(box.repo);

  const saved = await captureIn(box, { number: 2, previous: first.commit, rehearsalRate: 0 });

  expect(pictureOf(box.repo)).toEqual(before);
  expect(saved.warnings).toEqual([]);
  const { worktree } = await restoreFrom(box, saved.commit);
  expect(filesOf(worktree)).toEqual(filesOf(box.repo));
  expect(standOf(worktree)).toEqual(standOf(box.repo));
});

test('a plain worktree is rehearsed now and then, and a wrong memory of it is found', async () => {
  const box = seeded();
  const first = await captureIn(box);
  misremember(box, (staged) => {
    staged['unmerged'] = Buffer.from(`100644 ${'1'.repeat(40)} 2\ta.txt\0`).toString('base64');
  });
  const second = await captureIn(box, { number: 2, previous: first.commit, rehearsalRate: 1 });
  expect(second).toMatchObject({ changed: false, commit: first.commit });
});

test('a plain worktree with plain settings is not rehearsed each time', async () => {
  const box = seeded();
  expect(gitLine(box.repo, 'config', 'core.fileMode')).toBe('true');
  let { commit: previous } = await captureIn(box);
  // Each rehearsal clears away what killed ones left: whether that is gone tells.
  const left = join(box.privateDir, 'rehearsal.left');
  mkdirSync(left);
  utimesSync(left, 0, 0);
  const rehearsed: boolean[] = [];
  for (const [n, rehearsalRate] of [0, 1].entries()) {
    put(box.repo, 'a.txt', `${n}\n`);
    ({ commit: previous } = await captureIn(box, { number: n + 2, previous, rehearsalRate }));
    rehearsed.push(!existsSync(left));
  }
  expect(rehearsed).toEqual([false, true]);
});

/** Loses the object of what is staged: the file itself has changed since. */
function loseStaged(box: Sandbox): void {
  put(box.repo, 'a.txt', 'staged, then lost\n');
  userGit(box.repo, ['add', 'a.txt']);
  const oid = gitLine(box.repo, 'rev-parse', ':a.txt');
  rmSync(join(box.repo, '.git/objects', oid.slice(0, 2), oid.slice(2)));
  put(box.repo, 'a.txt', 'the newest work\n');
}

test('what cannot come back is left out and named, and all files are saved', async () => {
  const box = seeded();
  loseStaged(box);
  userGit(box.repo, ['update-index', '--assume-unchanged', 'run.sh']);
  put(box.repo, 'untracked.txt', 'more work\n');
  for (const number of [1, 2]) {
    const saved = await captureIn(box, { number });
    expect(saved.warnings.join()).toMatch(
      /^Only the files are saved: .*could not have been restored/,
    );
    expect(saved.notCaptured).toEqual([
      { path: '.git/index', reason: 'not_restorable: only the files are saved' },
    ]);
    const target = join(box.root, `restored-${number}`);
    const { worktree } = await restoreFrom(box, saved.commit, { target });
    expect(filesOf(worktree)).toEqual(filesOf(box.repo));
    expect(gitLine(worktree, 'status', '--porcelain')).toBe('M a.txt\n?? untracked.txt');
  }
});

test('a rehearsal leaves nothing behind, in the source or in the private directory', async () => {
  const box = seeded();
  userGit(box.repo, ['update-index', '--skip-worktree', 'run.sh']);
  const before = pictureOf(box.repo);
  await captureIn(box);
  expect(pictureOf(box.repo)).toEqual(before);
  expect(readdirSync(box.privateDir).filter((name) => name.startsWith('rehearsal'))).toEqual([]);
});
