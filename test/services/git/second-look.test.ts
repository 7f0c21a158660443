import { chmodSync, readdirSync, readFileSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  captureIn,
  commitAll,
  gitLine,
  nextSecond,
  pictureOf,
  put,
  restoreFrom,
  type Sandbox,
  seeded,
  standOf,
  statusOf,
  userGit,
} from './helpers.ts';

test('an earlier checkpoint comes with the settings that it was made with', async () => {
  const box = seeded();
  userGit(box.repo, ['config', 'core.fileMode', 'false']);
  userGit(box.repo, ['config', 'branch.main.description', 'of then']);
  userGit(box.repo, ['remote', 'add', 'there', 'https://user:secret@example.com/x.git']);
  userGit(box.repo, ['remote', 'add', 'gone', 'https://user:secret@example.com/gone.git']);
  chmodSync(join(box.repo, 'a.txt'), 0o755);
  const status = statusOf(box.repo);
  const first = await captureIn(box);
  userGit(box.repo, ['config', 'core.fileMode', 'true']);
  userGit(box.repo, ['config', 'branch.main.description', 'of now']);
  userGit(box.repo, ['config', 'core.autocrlf', 'true']);
  userGit(box.repo, ['remote', 'remove', 'gone']);
  const { worktree } = await restoreFrom(box, first.commit);
  expect(statusOf(worktree)).toBe(status);
  const setting = (key: string): string => gitLine(worktree, 'config', '--default', '', key);
  expect(setting('core.autocrlf')).toBe('');
  expect(setting('branch.main.description')).toBe('of then');
  // What the checkpoint does not hold is taken from the source, where it still belongs to the same address.
  expect(setting('remote.there.url')).toBe('https://user:secret@example.com/x.git');
  expect(setting('remote.gone.url')).toBe('https://example.com/gone.git');
});

test('a restore renews no time of an object that it shares with a sparse source', async () => {
  const box = seeded();
  put(box.repo, 'far/away.txt', 'far\n');
  commitAll(box.repo);
  userGit(box.repo, ['repack', '-adq']);
  userGit(box.repo, ['sparse-checkout', 'set', '--cone', '--sparse-index', 'dir']);
  const { commit } = await captureIn(box);
  // Git takes an object from the youngest pack: not from that of the checkpoint.
  const packs = join(box.repo, '.git', 'objects', 'pack');
  for (const name of readdirSync(packs)) utimesSync(join(packs, name), 4e9, 4e9);
  const before = pictureOf(box.repo);
  await restoreFrom(box, commit);
  expect(pictureOf(box.repo)).toEqual(before);
});

test.each(['sha1', 'sha256'])(
  'a conflict that was resolved can be brought back (%s)',
  async (format) => {
    const box = seeded([`--object-format=${format}`]);
    userGit(box.repo, ['rm', '--quiet', 'dir/b.txt']);
    put(box.repo, 'a.txt', 'ours\n');
    commitAll(box.repo);
    userGit(box.repo, ['switch', '--quiet', '-c', 'side', 'HEAD~1']);
    put(box.repo, 'a.txt', 'theirs\n');
    put(box.repo, 'dir/b.txt', 'theirs\n');
    commitAll(box.repo);
    expect(() => userGit(box.repo, ['merge', 'main'])).toThrow();
    put(box.repo, 'a.txt', 'both\n');
    userGit(box.repo, ['add', 'a.txt']);
    userGit(box.repo, ['rm', '--quiet', 'dir/b.txt']);
    const asked = ['ls-files', '--resolve-undo', '-z'];
    const undo = userGit(box.repo, asked).toString();
    expect(undo.split('\0')).toHaveLength(6);
    const stand = standOf(box.repo);
    const { commit } = await captureIn(box);
    const { worktree } = await restoreFrom(box, commit);
    expect(userGit(worktree, asked).toString()).toBe(undo);
    expect(standOf(worktree)).toEqual(stand);
    userGit(worktree, ['checkout', '--quiet', '--merge', 'a.txt']);
    expect(readFileSync(join(worktree, 'a.txt'), 'utf8')).toContain('<<<<<<<');
  },
);

function sparseIndex(): Sandbox {
  const box = seeded();
  put(box.repo, 'far/away.txt', 'far\n');
  commitAll(box.repo);
  userGit(box.repo, ['sparse-checkout', 'set', '--cone', '--sparse-index', 'dir']);
  return box;
}

test('a capture renews no time of an object of an index that is sparse in name alone', async () => {
  const box = sparseIndex();
  const head = gitLine(box.repo, 'rev-parse', 'HEAD');
  userGit(box.repo, ['update-index', '--add', '--cacheinfo', `160000,${head},far/module`]);
  await nextSecond();
  const before = pictureOf(box.repo);
  await captureIn(box);
  expect(pictureOf(box.repo)).toEqual(before);
});

test('what is only intended to be added stays so in a sparse index', async () => {
  const box = sparseIndex();
  put(box.repo, 'dir/planned.txt', 'planned\n');
  put(box.repo, 'dir/planned.sh', 'planned\n', 0o755);
  userGit(box.repo, ['add', '-N', 'dir/planned.txt', 'dir/planned.sh']);
  const stand = standOf(box.repo);
  const { commit, warnings } = await captureIn(box);
  expect(warnings).toEqual([]);
  const { worktree } = await restoreFrom(box, commit);
  expect(standOf(worktree)).toEqual(stand);
});

test('a submodule whose commit no remote has is named, and one that can be fetched again is not', async () => {
  const box = seeded();
  const far = join(box.root, 'far');
  userGit(box.root, ['clone', '--quiet', box.repo, far]);
  const add = ['submodule', '--quiet', 'add', far, 'module'];
  userGit(box.repo, ['-c', 'protocol.file.allow=always', ...add]);
  commitAll(box.repo);
  const first = await captureIn(box);
  expect(first.notCaptured).toEqual([]);
  commitAll(join(box.repo, 'module'), 'only here');
  commitAll(box.repo);
  const { notCaptured } = await captureIn(box, { number: 2, previous: first.commit });
  expect(notCaptured).toEqual([
    { path: 'module/', reason: expect.stringContaining('no branch of its remotes has its commit') },
  ]);
});
