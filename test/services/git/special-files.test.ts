import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { readPlain } from '../../../src/services/git/plain-file.ts';
import { captureIn, put, restoreFrom, sandbox, seeded, showFile, userGit } from './helpers.ts';
import type { Sandbox } from './helpers.ts';

const fifo = (path: string): void => {
  mkdirSync(dirname(path), { recursive: true });
  rmSync(path, { force: true });
  execFileSync('mkfifo', [path]);
};

/** Every file that git or the capture opens by its name. */
const READ_BY_NAME = [
  '.git/HEAD',
  '.git/config',
  '.git/index',
  '.git/shallow',
  '.git/packed-refs',
  '.git/commondir',
  '.git/config.worktree',
  '.git/MERGE_HEAD',
  '.git/info/attributes',
  '.git/info/exclude',
  '.git/info/grafts',
  '.git/info/sparse-checkout',
  '.git/objects/info/alternates',
  '.git/objects/info/commit-graph',
  '.git/objects/pack/multi-pack-index',
  '.git/refs/heads/main',
  '.git/refs/heads/deep/er',
  '.gitattributes',
  '.gitignore',
  'dir/.gitattributes',
  'dir/.gitignore',
];

for (const path of READ_BY_NAME) {
  test(`a FIFO at ${path} is refused at once, and named`, async () => {
    const box = seeded();
    fifo(join(box.repo, path));
    const name = path.replace(/^\.git\//, '');
    await expect(captureIn(box, { deadlineMs: 20_000 })).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringContaining(name),
    });
  });
}

test('a FIFO that comes between two captures is refused as well', async () => {
  const box = seeded();
  const { commit } = await captureIn(box);
  fifo(join(box.repo, '.gitattributes'));
  const again = captureIn(box, { number: 2, previous: commit, deadlineMs: 20_000 });
  await expect(again).rejects.toMatchObject({ code: 'invalid' });
  rmSync(join(box.repo, '.gitattributes'));
  put(box.repo, 'a.txt', 'after\n');
  const healed = await captureIn(box, { number: 2, previous: commit });
  expect(showFile(box, healed.commit, 'a.txt').toString()).toBe('after\n');
});

test('what cannot be saved makes another checkpoint when it appears, and once', async () => {
  const box = seeded();
  const { commit } = await captureIn(box);
  fifo(join(box.repo, 'pipe'));
  const next = { number: 2, previous: commit };
  const second = await captureIn(box, next);
  expect(second).toMatchObject({ changed: true, notCaptured: [{ path: 'pipe' }] });
  const third = await captureIn(box, { number: 3, previous: second.commit });
  expect(third).toMatchObject({ changed: false, commit: second.commit });
  const { worktree } = await restoreFrom(box, second.commit);
  expect(existsSync(join(worktree, 'pipe'))).toBe(false);
});

test('a link to a device without end is saved as a link, and not read', async () => {
  const box = seeded();
  symlinkSync('/dev/zero', join(box.repo, '.gitattributes'));
  put(box.repo, 'a.txt', 'work\n');
  const { commit } = await captureIn(box);
  expect(showFile(box, commit, 'a.txt').toString()).toBe('work\n');
  expect(showFile(box, commit, '.gitattributes').toString()).toBe('/dev/zero');
});

test('an index of a size that no repository has is not copied', async () => {
  const box = seeded();
  truncateSync(join(box.repo, '.git', 'index'), 3 * 1024 ** 3);
  const saved = await captureIn(box);
  expect(saved.warnings.join()).toMatch(/index.*cannot be read/);
  expect(showFile(box, saved.commit, 'a.txt').toString()).toBe('one\n');
});

test('a plain file is read whole; a link, a folder and a FIFO are not files', async () => {
  const { root } = sandbox();
  const file = join(root, 'file');
  writeFileSync(file, 'content');
  symlinkSync(file, join(root, 'link'));
  fifo(join(root, 'fifo'));
  expect((await readPlain(file, 7))?.toString()).toBe('content');
  for (const name of ['link', 'fifo', 'absent', '.']) {
    expect(await readPlain(join(root, name), 7)).toBeNull();
  }
  await expect(readPlain(file, 6)).rejects.toMatchObject({ code: 'invalid' });
});

/** A checkpoint whose list of empty folders was forged. */
async function forgedFolders(box: Sandbox, folders: string): Promise<string> {
  mkdirSync(join(box.repo, 'empty'));
  const { commit } = await captureIn(box);
  const env = {
    ...process.env,
    GIT_DIR: box.privateDir,
    GIT_OBJECT_DIRECTORY: join(box.privateDir, 'store'),
    GIT_ALTERNATE_OBJECT_DIRECTORIES: join(box.repo, '.git', 'objects'),
  };
  const git = (args: string[], input?: string) =>
    execFileSync('git', args, { env, input: input ?? '' })
      .toString('utf8')
      .trim();
  const states = git(['rev-list', '--parents', '-1', `${commit}^2`]).split(' ');
  const [index = '', , state = ''] = states;
  const blob = git(['hash-object', '-w', '--stdin'], folders);
  const replace = (type: string, oid: string, from: string, to: string) =>
    git(
      ['hash-object', '-w', '-t', type, '--stdin'],
      git(['cat-file', type, oid]).replace(from, to) + (type === 'commit' ? '\n' : ''),
    );
  const inner = git(['rev-parse', `${state}:worktree`]);
  const listed = git(['ls-tree', inner]).replace(
    /blob \S+\tempty-folders/,
    `blob ${blob}\tempty-folders`,
  );
  const folder = git(['mktree'], `${listed}\n`);
  const top = git(['rev-parse', `${state}^{tree}`]);
  const tree = git(['mktree'], `${git(['ls-tree', top]).replace(inner, folder)}\n`);
  const forgedState = replace('commit', state, top, tree);
  const forgedIndex = replace('commit', index, state, forgedState);
  return replace('commit', commit, index, forgedIndex);
}

test('restore makes no folder through a link that the checkpoint holds', async () => {
  const box = seeded();
  const outside = join(box.root, 'outside');
  mkdirSync(outside);
  symlinkSync(outside, join(box.repo, 'link'));
  userGit(box.repo, ['add', '-A']);
  const commit = await forgedFolders(box, 'link/deep/er\0plain/deep\0');
  const { worktree } = await restoreFrom(box, commit);
  expect(existsSync(join(outside, 'deep'))).toBe(false);
  expect(existsSync(join(worktree, 'plain', 'deep'))).toBe(true);
});
