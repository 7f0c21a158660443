import { spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Capture } from '../../../src/services/git/capture-types.ts';
import { CAPTURE_STAGES } from '../../../src/services/git/capture-types.ts';
import { capture } from '../../../src/services/git/capture.ts';
import { checkpointRef } from '../../../src/services/git/names.ts';
import { moveCheckpointRef } from '../../../src/services/git/publish.ts';
import { RESTORE_STAGES } from '../../../src/services/git/restore/types.ts';
import {
  AGENT,
  captureIn,
  filesOf,
  gitLine,
  NOW,
  pictureOf,
  put,
  restoreFrom,
  seeded,
  SESSION,
  userGit,
} from './helpers.ts';
import type { Sandbox } from './helpers.ts';

const CHILD = join(import.meta.dirname, 'child.ts');

const captureOptions = (box: Sandbox, previous: string | null = null) => ({
  worktree: box.repo,
  privateDir: box.privateDir,
  agentName: AGENT,
  sessionId: SESSION,
  number: 1,
  previous,
  policy: { roots: [box.root] },
  minFreeBytes: 0,
  now: NOW,
});

function runChild(operation: string, options: object, dieAt: string, uid?: number) {
  const args = [CHILD, operation, JSON.stringify(options), dieAt];
  const who = uid === undefined ? {} : { uid, gid: uid };
  return spawnSync(process.execPath, args, { encoding: 'utf8', ...who });
}

/** A worktree with something in every state. */
function busy(): Sandbox {
  const box = seeded();
  put(box.repo, 'staged.txt', 'staged\n');
  userGit(box.repo, ['add', 'staged.txt']);
  put(box.repo, 'a.txt', 'changed\n');
  put(box.repo, 'new.bin', Buffer.alloc(100_000, 7));
  return box;
}

/** The fingerprint that a capture without any history finds. */
const treeOf = async (box: Sandbox): Promise<string> =>
  (await captureIn(box, { privateDir: join(box.root, `fresh-${randomUUID()}`) })).tree;

for (const stage of CAPTURE_STAGES) {
  test(`a capture killed when it has ${stage}: the source is untouched, the next one succeeds`, async () => {
    const box = busy();
    let before = pictureOf(box.repo);
    expect(runChild('capture', captureOptions(box), stage).signal).toBe('SIGKILL');
    expect(pictureOf(box.repo)).toEqual(before);
    put(box.repo, 'a.txt', 'changed again\n');
    const first = await captureIn(box);
    expect(first.tree).toBe(await treeOf(box));
    if (stage === 'seeded') return; // only a first capture has it
    put(box.repo, 'late.txt', 'late\n');
    before = pictureOf(box.repo);
    const child = runChild('capture', captureOptions(box, first.commit), stage);
    expect(child.signal).toBe('SIGKILL');
    expect(pictureOf(box.repo)).toEqual(before);
    put(box.repo, 'late.txt', 'later\n');
    const second = await captureIn(box, { previous: first.commit });
    expect(second.tree).toBe(await treeOf(box));
  });
}

test('a kill at any moment, with git at work, leaves the source alone; left-overs are swept', async () => {
  const box = busy();
  put(box.repo, 'large.bin', Buffer.alloc(8_000_000, 'abcdefg'));
  const before = pictureOf(box.repo);
  for (let n = 0; n < 6; n += 1) {
    const args = [CHILD, 'capture', JSON.stringify(captureOptions(box)), ''];
    const child = spawn(process.execPath, args, { stdio: 'ignore' });
    const gone = new Promise((resolve) => child.on('close', resolve));
    const timer = setTimeout(() => child.kill('SIGKILL'), 150 + n * 40);
    await gone;
    clearTimeout(timer);
  }
  expect(pictureOf(box.repo)).toEqual(before);
  const saved = await captureIn(box, { deadlineMs: 20_000 });
  const { worktree } = await restoreFrom(box, saved.commit);
  expect(filesOf(worktree)).toEqual(filesOf(box.repo));
});

test('what a killed capture left in the private directory is removed once it is old', async () => {
  const box = busy();
  runChild('capture', captureOptions(box), 'hashed');
  runChild('capture', captureOptions(box), 'indexed');
  const leftOver = (): string[] =>
    readdirSync(box.privateDir).filter((name) => /^(?:index|staged)\.\d/.test(name));
  expect(leftOver().length).toBeGreaterThan(0);
  await captureIn(box);
  expect(leftOver().length).toBeGreaterThan(0);
  await captureIn(box, { now: NOW, staleMs: -1000 });
  expect(leftOver()).toEqual([]);
});

test('two captures of one session at the same time do not disturb each other', async () => {
  const box = busy();
  const both = await Promise.all([captureIn(box), captureIn(box), captureIn(box)]);
  expect(new Set(both.map((saved) => saved.commit)).size).toBe(1);
  put(box.repo, 'a.txt', 'later\n');
  const again = await Promise.all([captureIn(box), captureIn(box)]);
  expect(new Set(again.map((saved) => saved.tree)).size).toBe(1);
});

for (const stage of ['objects', 'moved'] as const) {
  test(`a move of the branch killed after ${stage} leaves no litter and can be repeated`, async () => {
    const box = busy();
    const { commit } = await captureIn(box);
    const ref = checkpointRef(AGENT, SESSION);
    const options = { ...captureOptions(box), ref, commit, expected: null };
    expect(runChild('publish', options, stage).signal).toBe('SIGKILL');
    const litter = [...pictureOf(box.repo).keys()].filter((path) => /tmp_|\.lock$/.test(path));
    expect(litter).toEqual([]);
    await moveCheckpointRef({ ...options, worktree: box.repo });
    expect(gitLine(box.repo, 'rev-parse', ref)).toBe(commit);
  });
}

for (const stage of RESTORE_STAGES) {
  test(`a restore killed when it has ${stage} puts nothing in place and can be repeated`, async () => {
    const box = busy();
    const { commit } = await captureIn(box);
    const before = pictureOf(box.repo);
    const target = join(box.root, 'restored');
    const from = { worktree: box.repo, privateDir: box.privateDir };
    const options = { target, commit, from, policy: { roots: [box.root] } };
    expect(runChild('restore', options, stage).signal).toBe('SIGKILL');
    expect(readdirSync(box.root)).not.toContain('restored');
    const { worktree } = await restoreFrom(box, commit);
    expect(filesOf(worktree)).toEqual(filesOf(box.repo));
    expect(pictureOf(box.repo)).toEqual(before);
  });
}

test('the left-over of a killed restore is removed once it is old, and nothing like it', async () => {
  const box = busy();
  const { commit } = await captureIn(box);
  const from = { worktree: box.repo, privateDir: box.privateDir };
  const target = join(box.root, 'restored');
  runChild('restore', { target, commit, from, policy: { roots: [box.root] } }, 'files');
  mkdirSync(join(box.root, '.restored.restore-mine'));
  const leftOver = () => readdirSync(box.root).filter((name) => name.includes('.restore-'));
  expect(leftOver()).toHaveLength(2);
  await restoreFrom(box, commit, { staleMs: -1000 });
  expect(leftOver()).toEqual(['.restored.restore-mine']);
});

const NOBODY = 65_534;

test(
  'unreadable files and folders are listed, the rest is saved',
  { skip: process.getuid?.() !== 0 },
  () => {
    const box = busy();
    put(box.repo, 'secret.txt', 'secret', 0o000);
    put(box.repo, 'closed/x', 'x');
    chmodSync(join(box.repo, 'closed'), 0o000);
    mkdirSync(box.privateDir, { recursive: true });
    chownSync(box.privateDir, NOBODY, NOBODY);
    for (const path of [box.root, join(box.root, 'private')]) chmodSync(path, 0o755);
    const options = { ...captureOptions(box), policy: { roots: [box.root], owners: 'any' } };
    const child = runChild('capture', options, '', NOBODY);
    expect(child.stderr).toBe('');
    const saved = JSON.parse(child.stdout) as Capture;
    expect(saved.notCaptured).toEqual([
      { path: 'secret.txt', reason: 'unreadable: permission denied' },
      { path: 'closed/', reason: 'unreadable: folder' },
    ]);
    expect(saved.filesChanged).toBe(3);
  },
);

test(
  'a worktree of another user is refused unless the policy names the owner; what root writes there is theirs',
  { skip: process.getuid?.() !== 0 },
  async () => {
    const box = busy();
    spawnSync('chown', ['-R', `${NOBODY}:${NOBODY}`, box.repo]);
    chmodSync(box.root, 0o755);
    await expect(captureIn(box)).rejects.toMatchObject({ code: 'forbidden' });
    const policy = { roots: [box.root], owners: [NOBODY] };
    const { commit } = await capture({ ...captureOptions(box), policy });
    const ref = checkpointRef(AGENT, SESSION);
    const options = { ...captureOptions(box), policy, ref, commit, expected: null };
    await moveCheckpointRef(options);
    const foreign = spawnSync('find', [box.repo, '!', '-user', String(NOBODY)], {
      encoding: 'utf8',
    });
    expect(foreign.stdout).toBe('');
  },
);
