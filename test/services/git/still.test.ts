import { randomBytes } from 'node:crypto';
import { appendFileSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { CaptureStage } from '../../../src/services/git/capture-types.ts';
import {
  captureIn,
  commitAll,
  gitLine,
  namesIn,
  privateGit,
  put,
  seeded,
  showFile,
  userGit,
} from './helpers.ts';
import type { Sandbox } from './helpers.ts';

/* What happens to the worktree while it is read. The stages of a capture are the moments at which it happens. */

/** Acts at a stage, the first times that it is reached. */
function during(stage: CaptureStage, times: number, act: (n: number) => void | Promise<void>) {
  let n = 0;
  return async (at: CaptureStage): Promise<void> => {
    if (at !== stage || n === times) return;
    n += 1;
    await act(n);
  };
}

const savedFiles = (box: Sandbox, commit: string): string =>
  privateGit(box, 'ls-tree', '-r', commit).toString();

test('a file that is written on while it is read is read again', async () => {
  const box = seeded();
  put(box.repo, 'slow.txt', 'part 1\n');
  const onStage = during('hashed', 2, (n) =>
    appendFileSync(join(box.repo, 'slow.txt'), `part ${n + 1}\n`),
  );
  const saved = await captureIn(box, { onStage });
  expect(showFile(box, saved.commit, 'slow.txt').toString()).toBe('part 1\npart 2\npart 3\n');
  expect(saved.warnings).toEqual([]);
});

test('a file that never holds still is saved, and named', async () => {
  const box = seeded();
  put(box.repo, 'server.log', 'line\n');
  put(box.repo, 'quiet.txt', 'quiet\n');
  const write = () => appendFileSync(join(box.repo, 'server.log'), 'line\n');
  const saved = await captureIn(box, { onStage: during('hashed', Infinity, write) });
  expect(saved.warnings).toEqual([
    'Kept changing while it was read, and may be saved in part: server.log.',
  ]);
  expect(showFile(box, saved.commit, 'quiet.txt').toString()).toBe('quiet\n');
  expect(showFile(box, saved.commit, 'server.log').toString()).toMatch(/^(line\n)+$/);
  const next = await captureIn(box, { number: 2, previous: saved.commit });
  expect(next.warnings).toEqual([]);
});

test('edits of the same size, in the second in which a long capture read the files, are seen by the next', async () => {
  const box = seeded();
  // Read after the small files, it keeps the index from being written within the second of theirs.
  put(box.repo, 'z.bin', randomBytes(40_000_000));
  const names = Array.from({ length: 40 }, (_, n) => `twice/${n}.txt`);
  let round = 0;
  // Each file is written over and over, and for the last time a little later than the one before it.
  const write = () => {
    for (const name of names.slice(round)) put(box.repo, name, `${round}`.padStart(4));
    round += 1;
  };
  write();
  const writer = setInterval(write, 50);
  const first = await captureIn(box);
  clearInterval(writer);
  const second = await captureIn(box, { number: 2, previous: first.commit });
  for (const name of names) {
    const present = readFileSync(join(box.repo, name), 'utf8');
    expect(showFile(box, second.commit, name).toString(), name).toBe(present);
  }
});

for (const stage of ['copied', 'scanned', 'hashed'] as const) {
  test(`a switch of the branch beside the capture, when it has ${stage}`, async () => {
    const box = seeded();
    userGit(box.repo, ['checkout', '--quiet', '-b', 'side']);
    put(box.repo, 'a.txt', 'side\n');
    put(box.repo, 'dir/new.txt', 'side\n');
    rmSync(join(box.repo, 'run.sh'));
    const head = commitAll(box.repo);
    userGit(box.repo, ['checkout', '--quiet', 'main']);
    const first = await captureIn(box);
    put(box.repo, 'work.txt', 'uncommitted\n');
    const saved = await captureIn(box, {
      number: 2,
      previous: first.commit,
      onStage: during(stage, 1, () => void userGit(box.repo, ['checkout', '--quiet', 'side'])),
    });
    expect(saved).toMatchObject({ head, branch: 'side', warnings: [], filesChanged: 1 });
    expect(namesIn(box, saved.commit)).toEqual(['a.txt', 'dir/b.txt', 'dir/new.txt', 'work.txt']);
    const fresh = { ...box, privateDir: join(box.root, 'fresh') };
    expect(saved.tree).toBe((await captureIn(fresh)).tree);
    expect(savedFiles(box, saved.indexTree)).toBe(savedFiles(box, saved.head ?? ''));
  });
}

test('a switch that is half done when the capture begins is waited for', async () => {
  const box = seeded();
  const first = await captureIn(box);
  // What git does: it holds the lock, writes the files one by one, then the index.
  put(box.repo, '.git/index.lock', '');
  put(box.repo, 'a.txt', 'side\n');
  const saved = await captureIn(box, {
    number: 2,
    previous: first.commit,
    onStage: during('hashed', 2, (n) => {
      if (n === 1) return;
      put(box.repo, 'run.sh', 'side\n', 0o755);
      rmSync(join(box.repo, '.git/index.lock'));
    }),
  });
  expect(showFile(box, saved.commit, 'a.txt').toString()).toBe('side\n');
  expect(showFile(box, saved.commit, 'run.sh').toString()).toBe('side\n');
  expect(saved.warnings).toEqual([]);
});

test('a commit, a rename of the branch and a reset beside the capture: HEAD is that of the files', async () => {
  const box = seeded();
  let last = await captureIn(box);
  const acts = [
    ['commit', '--quiet', '--allow-empty', '-m', 'beside'],
    ['branch', '-m', 'renamed'],
    ['reset', '--quiet', '--soft', 'HEAD~1'],
  ];
  for (const act of acts) {
    const onStage = during('scanned', 1, () => void userGit(box.repo, act));
    last = await captureIn(box, { number: 2, previous: last.commit, onStage });
    expect(last.head, act.join(' ')).toBe(gitLine(box.repo, 'rev-parse', 'HEAD'));
    expect(last.branch).toBe(gitLine(box.repo, 'branch', '--show-current'));
    expect(last.warnings).toEqual([]);
  }
});

test('an index and a HEAD that never hold still are named', async () => {
  const box = seeded();
  const move = () => void userGit(box.repo, ['commit', '-qam', 'again', '--allow-empty']);
  const saved = await captureIn(box, {
    deadlineMs: 120_000,
    onStage: during('hashed', Infinity, move),
  });
  expect(saved.warnings.join()).toMatch(/HEAD.*kept changing/);
});
