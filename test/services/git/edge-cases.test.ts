import { execFileSync, spawn } from 'node:child_process';
import {
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  captureIn,
  commitAll,
  filesOf,
  gitLine,
  namesIn,
  nextSecond,
  pictureOf,
  put,
  restoreFrom,
  sandbox,
  seeded,
  showFile,
  standOf,
  userGit,
} from './helpers.ts';

const reasons = (list: { path: string; reason: string }[]): Record<string, string> =>
  Object.fromEntries(list.map(({ path, reason }) => [path, reason.split(':')[0] ?? '']));

/** Same size, other bytes, old times: what an editor with `rsync -t` or an unpacker does. */
function editUnseen(file: string, content: string): void {
  const { atime, mtime } = statSync(file);
  writeFileSync(file, content);
  utimesSync(file, atime, mtime);
}

for (const trustctime of ['true', 'false']) {
  test(`an edit of the same size with restored mtime is seen (core.trustctime=${trustctime})`, async () => {
    const box = seeded();
    userGit(box.repo, ['config', 'core.trustctime', trustctime]);
    put(box.repo, 'old.txt', 'before\n');
    utimesSync(join(box.repo, 'old.txt'), 1_600_000_000, 1_600_000_000);
    commitAll(box.repo);
    editUnseen(join(box.repo, 'old.txt'), 'after!\n');
    const first = await captureIn(box);
    expect(showFile(box, first.commit, 'old.txt').toString()).toBe('after!\n');
    editUnseen(join(box.repo, 'old.txt'), 'again!\n');
    const second = await captureIn(box, { number: 2, previous: first.commit });
    expect(showFile(box, second.commit, 'old.txt').toString()).toBe('again!\n');
  });
}

test('an edit in the moment after the index was written is seen', async () => {
  const box = seeded();
  for (let n = 0; n < 5; n += 1) {
    put(box.repo, 'race.txt', `${n}a\n`);
    userGit(box.repo, ['add', 'race.txt']);
    put(box.repo, 'race.txt', `${n}b\n`);
    const privateDir = join(box.root, `private-${n}`);
    const saved = await captureIn(box, { privateDir });
    put(box.repo, 'race.txt', `${n}c\n`);
    const next = await captureIn(box, { privateDir, number: 2, previous: saved.commit });
    const at = { ...box, privateDir };
    expect(showFile(at, saved.commit, 'race.txt').toString()).toBe(`${n}b\n`);
    expect(showFile(at, next.commit, 'race.txt').toString()).toBe(`${n}c\n`);
  }
});

test('assume-unchanged and skip-worktree do not hide edits, and come back with a restore', async () => {
  const box = seeded();
  await nextSecond();
  userGit(box.repo, ['update-index', '--assume-unchanged', 'a.txt']);
  userGit(box.repo, ['update-index', '--skip-worktree', 'dir/b.txt', 'run.sh']);
  put(box.repo, 'a.txt', 'hidden 1\n');
  put(box.repo, 'dir/b.txt', 'hidden 2\n');
  rmSync(join(box.repo, 'run.sh'));
  const saved = await captureIn(box);
  expect(showFile(box, saved.commit, 'a.txt').toString()).toBe('hidden 1\n');
  expect(showFile(box, saved.commit, 'dir/b.txt').toString()).toBe('hidden 2\n');
  const { worktree } = await restoreFrom(box, saved.commit);
  expect(filesOf(worktree)).toEqual(filesOf(box.repo));
  expect(standOf(worktree)).toEqual(standOf(box.repo));
});

for (const sparseIndex of ['--no-sparse-index', '--sparse-index']) {
  test(`a sparse checkout keeps what it left out, and edits outside the cone (${sparseIndex})`, async () => {
    const box = seeded();
    put(box.repo, 'out/x.txt', 'x\n');
    put(box.repo, 'out/deep/y.txt', 'y\n');
    commitAll(box.repo);
    userGit(box.repo, ['sparse-checkout', 'set', '--cone', sparseIndex, 'dir']);
    expect(filesOf(box.repo).has('out/x.txt')).toBe(false);
    put(box.repo, 'out/x.txt', 'edited outside\n');
    put(box.repo, 'dir/b.txt', 'edited inside\n');
    const before = pictureOf(box.repo);
    const saved = await captureIn(box);
    expect(pictureOf(box.repo)).toEqual(before);
    expect(namesIn(box, saved.commit)).toContain('out/deep/y.txt');
    expect(showFile(box, saved.commit, 'out/x.txt').toString()).toBe('edited outside\n');
    const { worktree } = await restoreFrom(box, saved.commit);
    expect(filesOf(worktree)).toEqual(filesOf(box.repo));
    expect(standOf(worktree)['status']).toBe(standOf(box.repo)['status']);
    expect(gitLine(worktree, 'sparse-checkout', 'list')).toBe('dir');
  });
}

test('split index, untracked cache and a stale fsmonitor extension do not mislead', async () => {
  const box = seeded();
  userGit(box.repo, ['update-index', '--split-index']);
  put(box.repo, 'later.txt', 'later\n');
  userGit(box.repo, ['add', 'later.txt']);
  userGit(box.repo, ['update-index', '--untracked-cache']);
  // A monitor that always answers "nothing changed" makes git mark every entry as valid.
  put(box.root, 'monitor', '#!/bin/sh\nprintf "token\\0"\n', 0o755);
  userGit(box.repo, ['config', 'core.fsmonitor', join(box.root, 'monitor')]);
  userGit(box.repo, ['update-index', '--fsmonitor']);
  userGit(box.repo, ['status']);
  put(box.repo, 'a.txt', 'unseen by the monitor\n');
  put(box.repo, 'untracked.txt', 'new\n');
  expect(userGit(box.repo, ['status', '--porcelain']).toString()).not.toContain('a.txt');
  const before = pictureOf(box.repo);
  const saved = await captureIn(box);
  expect(pictureOf(box.repo)).toEqual(before);
  expect(showFile(box, saved.commit, 'a.txt').toString()).toBe('unseen by the monitor\n');
  expect(namesIn(box, saved.commit)).toEqual(
    expect.arrayContaining(['later.txt', 'untracked.txt']),
  );
  expect(namesIn(box, saved.indexTree)).toContain('later.txt');
});

for (const split of [[], ['--split-index']]) {
  test(`skip-worktree marks of files that are there come back (${split.join() || 'whole index'})`, async () => {
    const box = seeded();
    userGit(box.repo, ['update-index', '--skip-worktree', 'a.txt', 'run.sh']);
    if (split.length > 0) userGit(box.repo, ['update-index', ...split]);
    put(box.repo, 'a.txt', 'hidden\n');
    rmSync(join(box.repo, 'run.sh'));
    const saved = await captureIn(box);
    expect(showFile(box, saved.commit, 'a.txt').toString()).toBe('hidden\n');
    const { worktree } = await restoreFrom(box, saved.commit);
    expect(filesOf(worktree)).toEqual(filesOf(box.repo));
    expect(standOf(worktree)).toEqual(standOf(box.repo));
  });
}

test('nested repositories: files saved, history reported, the rest unharmed', async () => {
  const box = seeded();
  userGit(box.repo, ['init', '--quiet', 'unborn']);
  put(box.repo, 'unborn/app.ts', 'app\n');
  put(box.repo, 'unborn/.gitignore', 'build/\n');
  put(box.repo, 'unborn/build/out', 'out');
  userGit(box.repo, ['init', '--quiet', 'born']);
  put(box.repo, 'born/lib.ts', 'lib\n');
  commitAll(join(box.repo, 'born'));
  userGit(join(box.repo, 'born'), ['init', '--quiet', 'deeper']);
  put(box.repo, 'born/deeper/deep.ts', 'deep\n');
  userGit(box.repo, ['worktree', 'add', '--quiet', '-b', 'side', 'trees/side']);
  put(box.repo, 'a.txt', 'rest\n');
  const before = pictureOf(box.repo);
  const first = await captureIn(box);
  expect(pictureOf(box.repo)).toEqual(before);
  const wanted = ['born/deeper/deep.ts', 'born/lib.ts', 'unborn/.gitignore', 'unborn/app.ts'];
  expect(namesIn(box, first.commit)).toEqual([
    'a.txt',
    'born/deeper/deep.ts',
    'born/lib.ts',
    'dir/b.txt',
    'run.sh',
    'unborn/.gitignore',
    'unborn/app.ts',
  ]);
  const listed = {
    'born/.git': 'nested_repository',
    'born/deeper/.git': 'nested_repository',
    'trees/side/': 'linked_worktree',
    'unborn/.git': 'nested_repository',
  };
  expect(reasons(first.notCaptured)).toMatchObject(listed);
  put(box.repo, 'born/lib.ts', 'lib 2\n');
  put(box.repo, 'born/more.ts', 'more\n');
  const second = await captureIn(box, { number: 2, previous: first.commit });
  expect(namesIn(box, second.commit)).toEqual(expect.arrayContaining([...wanted, 'born/more.ts']));
  expect(showFile(box, second.commit, 'born/lib.ts').toString()).toBe('lib 2\n');
  expect(reasons(second.notCaptured)).toMatchObject(listed);
});

test('submodules: the commit id is saved, what is in them only is reported', async () => {
  const box = seeded();
  const lib = join(box.root, 'lib');
  mkdirSync(lib);
  userGit(lib, ['init', '--quiet']);
  put(lib, 'lib.txt', 'lib\n');
  commitAll(lib);
  const add = ['-c', 'protocol.file.allow=always', 'submodule', '--quiet', 'add', lib];
  for (const name of ['clean', 'dirty', 'moved']) userGit(box.repo, [...add, name]);
  commitAll(box.repo);
  put(box.repo, 'dirty/lib.txt', 'changed\n');
  put(box.repo, 'moved/new.txt', 'new\n');
  const moved = commitAll(join(box.repo, 'moved'));
  put(box.repo, 'a.txt', 'rest\n');
  const before = pictureOf(box.repo);
  const saved = await captureIn(box);
  expect(pictureOf(box.repo)).toEqual(before);
  expect(saved.notCaptured).toEqual([
    expect.objectContaining({
      path: 'dirty/',
      reason: expect.stringMatching(/^submodule: 1 unco/),
    }),
    expect.objectContaining({ path: 'moved/', reason: expect.stringMatching(/another commit/) }),
  ]);
  expect(gitLine(box.root, '--git-dir', box.privateDir, 'rev-parse', `${saved.commit}:moved`)).toBe(
    moved,
  );
  const { worktree } = await restoreFrom(box, saved.commit);
  expect(readFileSync(join(worktree, 'a.txt'), 'utf8')).toBe('rest\n');
});

test('line ends, filters, ident and encodings: the bytes of the worktree are saved, clean or not', async () => {
  const box = sandbox();
  const { repo } = box;
  userGit(repo, ['config', 'core.autocrlf', 'true']);
  userGit(repo, ['config', 'filter.rot.clean', 'tr a-z n-za-m']);
  userGit(repo, ['config', 'filter.rot.smudge', 'tr a-z n-za-m']);
  put(
    repo,
    '.gitattributes',
    '*.rot filter=rot\n*.id ident\n*.u16 working-tree-encoding=UTF-16LE\n',
  );
  put(repo, 'clean.txt', 'one\r\ntwo\r\n');
  put(repo, 'clean.rot', 'secret\n');
  put(repo, 'clean.u16', Buffer.from('text\r\n', 'utf16le'));
  put(repo, 'clean.id', '$Id$\n');
  put(repo, 'dirty.txt', 'x\n');
  put(repo, 'dirty.rot', 'x\n');
  commitAll(repo);
  rmSync(join(repo, 'clean.id'));
  userGit(repo, ['checkout', 'clean.id']);
  expect(readFileSync(join(repo, 'clean.id'), 'utf8')).toMatch(/^\$Id: [0-9a-f]{40} \$/);
  await nextSecond();
  userGit(repo, ['update-index', '--refresh', '--force-write-index']);
  put(repo, 'dirty.txt', 'mixed\r\nends\n');
  put(repo, 'dirty.rot', 'changed\n');
  expect(statusPaths(repo)).toEqual(['dirty.rot', 'dirty.txt']);
  const before = pictureOf(repo);
  const saved = await captureIn(box);
  expect(pictureOf(repo)).toEqual(before);
  const { worktree } = await restoreFrom(box, saved.commit);
  expect(filesOf(worktree)).toEqual(filesOf(repo));
});

function statusPaths(repo: string): string[] {
  const text = userGit(repo, ['--no-optional-locks', 'status', '--porcelain']).toString();
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => line.slice(3));
}

test('only autocrlf: clean files are saved byte for byte, and the status stays the same', async () => {
  const box = sandbox();
  userGit(box.repo, ['config', 'core.autocrlf', 'true']);
  put(box.repo, 'crlf.txt', 'one\r\ntwo\r\n');
  put(box.repo, 'lf.txt', 'one\ntwo\n');
  commitAll(box.repo);
  await nextSecond();
  userGit(box.repo, ['update-index', '--refresh', '--force-write-index']);
  const saved = await captureIn(box);
  expect(showFile(box, saved.commit, 'crlf.txt').toString()).toBe('one\r\ntwo\r\n');
  expect(saved.filesChanged).toBe(0);
  put(box.repo, 'crlf.txt', 'one\r\nthree\r\n');
  const next = await captureIn(box, { number: 2, previous: saved.commit });
  expect(next.filesChanged).toBe(1);
  put(box.repo, 'crlf.txt', 'one\r\ntwo\r\n');
  const { worktree } = await restoreFrom(box, saved.commit);
  expect(filesOf(worktree)).toEqual(filesOf(box.repo));
  expect(standOf(worktree)).toEqual(standOf(box.repo));
});

test('a required filter that is missing, as of LFS without its program, stops nothing', async () => {
  const box = sandbox();
  put(box.repo, 'big.bin', 'version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n');
  commitAll(box.repo);
  put(box.repo, '.gitattributes', '*.bin filter=lfs diff=lfs merge=lfs -text\n');
  userGit(box.repo, ['config', 'filter.lfs.clean', 'no-such-program clean -- %f']);
  userGit(box.repo, ['config', 'filter.lfs.process', 'no-such-program filter-process']);
  userGit(box.repo, ['config', 'filter.lfs.required', 'true']);
  put(box.repo, 'big.bin', 'the real bytes');
  put(box.repo, 'other.bin', 'untracked bytes');
  const saved = await captureIn(box);
  expect(showFile(box, saved.commit, 'big.bin').toString()).toBe('the real bytes');
  const { worktree } = await restoreFrom(box, saved.commit);
  expect(filesOf(worktree)).toEqual(filesOf(box.repo));
});

test('size caps: what is over them is listed with its reason, the rest is saved', async () => {
  const box = seeded();
  put(box.repo, 'huge.bin', Buffer.alloc(5000, 1));
  put(box.repo, 'one.bin', Buffer.alloc(900, 2));
  put(box.repo, 'two.bin', Buffer.alloc(900, 3));
  put(box.repo, 'a.txt', Buffer.alloc(5000, 4));
  const saved = await captureIn(box, { caps: { maxFileBytes: 1000, maxTotalBytes: 1000 } });
  expect(reasons(saved.notCaptured)).toEqual({
    'a.txt': 'too_large',
    'huge.bin': 'too_large',
    'two.bin': 'total_too_large',
  });
  expect(namesIn(box, saved.commit)).toEqual(['a.txt', 'dir/b.txt', 'one.bin', 'run.sh']);
  expect(showFile(box, saved.commit, 'a.txt').toString()).toBe('one\n');
});

test('a deadline ends the capture with a transient error; the next one succeeds', async () => {
  const box = seeded();
  const stopped = captureIn(box, { signal: AbortSignal.abort() });
  await expect(stopped).rejects.toMatchObject({ code: 'unavailable', transient: true });
  const full = captureIn(box, { minFreeBytes: Number.MAX_SAFE_INTEGER });
  await expect(full).rejects.toMatchObject({ code: 'unavailable', transient: true });
  expect((await captureIn(box)).changed).toBe(true);
});

test('a restore never deletes: ignored files come back only if they were tracked', async () => {
  const box = seeded();
  put(box.repo, 'kept.log', 'tracked though ignored\n');
  commitAll(box.repo);
  put(box.repo, '.gitignore', '*.log\nbuild/\n');
  put(box.repo, 'kept.log', 'changed\n');
  put(box.repo, 'lost.log', 'ignored\n');
  put(box.repo, 'build/a/b', 'ignored\n');
  const saved = await captureIn(box);
  expect(reasons(saved.notCaptured)).toEqual({ 'build/': 'ignored', 'lost.log': 'ignored' });
  const { worktree } = await restoreFrom(box, saved.commit);
  expect(readFileSync(join(worktree, 'kept.log'), 'utf8')).toBe('changed\n');
  expect(standOf(worktree)).toEqual(standOf(box.repo));
});

/** Two branches that change the same line, and one that deletes what the other changes. */
function conflicting() {
  const box = seeded();
  put(box.repo, 'both.txt', 'base\n');
  put(box.repo, 'gone.txt', 'base\n');
  commitAll(box.repo);
  userGit(box.repo, ['checkout', '--quiet', '-b', 'theirs']);
  put(box.repo, 'both.txt', 'theirs\n');
  put(box.repo, 'gone.txt', 'theirs\n');
  put(box.repo, 'added.txt', 'theirs\n');
  commitAll(box.repo, 'theirs');
  userGit(box.repo, ['checkout', '--quiet', 'main']);
  put(box.repo, 'both.txt', 'ours\n');
  rmSync(join(box.repo, 'gone.txt'));
  put(box.repo, 'added.txt', 'ours\n');
  commitAll(box.repo, 'ours');
  return box;
}

const OPERATIONS = {
  merge: { start: ['merge', 'theirs'], goOn: ['commit', '--quiet', '--no-edit'] },
  'cherry-pick': { start: ['cherry-pick', 'theirs'], goOn: ['cherry-pick', '--continue'] },
  rebase: { start: ['rebase', 'theirs'], goOn: ['rebase', '--continue'] },
  am: { start: ['am', '-3'], goOn: ['am', '--continue'] },
};

for (const [kind, { start, goOn }] of Object.entries(OPERATIONS)) {
  test(`a ${kind} stopped by conflicts is saved with its stages and can be finished after a restore`, async () => {
    const box = conflicting();
    const patch = userGit(box.repo, ['format-patch', '--stdout', 'main..theirs']);
    expect(() => userGit(box.repo, start, kind === 'am' ? patch : undefined)).toThrow();
    put(box.repo, 'both.txt', 'half resolved\n<<<<<<<\n');
    const before = pictureOf(box.repo);
    const saved = await captureIn(box);
    expect(pictureOf(box.repo)).toEqual(before);
    expect(saved.operation).toBe(kind);
    const { worktree } = await restoreFrom(box, saved.commit);
    expect(filesOf(worktree)).toEqual(filesOf(box.repo));
    expect(standOf(worktree)).toEqual(standOf(box.repo));
    put(worktree, 'both.txt', 'resolved\n');
    userGit(worktree, ['add', '-A']);
    userGit(worktree, goOn);
    expect(gitLine(worktree, 'status', '--porcelain')).toBe('');
    expect(gitLine(worktree, 'branch', '--show-current')).toBe('main');
  });
}

test('a held index.lock does not stop the capture and stays', async () => {
  const box = seeded();
  put(box.repo, '.git/index.lock', 'held');
  put(box.repo, 'a.txt', 'changed\n');
  const before = pictureOf(box.repo);
  const saved = await captureIn(box);
  expect(pictureOf(box.repo)).toEqual(before);
  expect(showFile(box, saved.commit, 'a.txt').toString()).toBe('changed\n');
});

test('files marked intent-to-add are saved, and marked again', async () => {
  const box = seeded();
  put(box.repo, 'planned.txt', 'planned\n');
  userGit(box.repo, ['add', '-N', 'planned.txt']);
  const saved = await captureIn(box);
  const { worktree } = await restoreFrom(box, saved.commit);
  expect(standOf(worktree)).toEqual(standOf(box.repo));
});

test('one file marked intent-to-add that is gone, or became a folder, leaves the others theirs', async () => {
  const box = seeded();
  put(box.repo, 'planned.txt', 'planned\n');
  put(box.repo, 'tool.sh', 'planned\n', 0o755);
  put(box.repo, 'gone.txt', 'planned\n');
  put(box.repo, 'gone/deep/tool.sh', 'planned\n', 0o755);
  put(box.repo, 'folder', 'planned\n');
  symlinkSync('planned.txt', join(box.repo, 'link'));
  userGit(box.repo, ['add', '-N', '.']);
  for (const name of ['gone.txt', 'gone', 'folder']) {
    rmSync(join(box.repo, name), { recursive: true });
  }
  put(box.repo, 'folder/inner.txt', 'untracked\n');
  const saved = await captureIn(box);
  const { worktree, warnings } = await restoreFrom(box, saved.commit);
  expect(warnings).toEqual([]);
  expect(filesOf(worktree)).toEqual(filesOf(box.repo));
  expect(standOf(worktree)).toEqual(standOf(box.repo));
});

test('unborn HEAD', async () => {
  const box = sandbox();
  const empty = await captureIn(box);
  expect(empty).toMatchObject({ head: null, branch: 'main', filesChanged: 0 });
  put(box.repo, 'first.txt', 'first\n');
  put(box.repo, 'staged.txt', 'staged\n');
  userGit(box.repo, ['add', 'staged.txt']);
  const saved = await captureIn(box, { number: 2, previous: empty.commit });
  expect(saved).toMatchObject({ head: null, filesChanged: 2, changed: true });
  const { worktree, head } = await restoreFrom(box, saved.commit);
  expect(head).toBeNull();
  expect(filesOf(worktree)).toEqual(filesOf(box.repo));
  expect(statusPaths(worktree)).toEqual(statusPaths(box.repo));
  commitAll(worktree);
  expect(gitLine(worktree, 'branch', '--show-current')).toBe('main');
});

test('detached HEAD', async () => {
  const box = seeded();
  userGit(box.repo, ['checkout', '--quiet', '--detach']);
  put(box.repo, 'a.txt', 'changed\n');
  const saved = await captureIn(box);
  expect(saved.branch).toBeNull();
  const { worktree } = await restoreFrom(box, saved.commit);
  expect(standOf(worktree)).toEqual(standOf(box.repo));
});

test('shallow clone', async () => {
  const box = seeded();
  commitAll(box.repo, 'second');
  renameSync(box.repo, join(box.root, 'full'));
  userGit(box.root, ['clone', '--quiet', '--depth=1', `file://${box.root}/full`, 'repo']);
  put(box.repo, 'a.txt', 'changed\n');
  const saved = await captureIn(box);
  expect(saved.base.shallow).toBe(true);
  const { worktree } = await restoreFrom(box, saved.commit);
  expect(standOf(worktree)).toEqual(standOf(box.repo));
  expect(gitLine(worktree, 'rev-list', '--count', 'HEAD')).toBe('1');
});

test('linked worktree: its own HEAD and index, the shared objects', async () => {
  const box = seeded();
  userGit(box.repo, ['worktree', 'add', '--quiet', '-b', 'side', '../side']);
  const side = join(box.root, 'side');
  put(side, 'a.txt', 'side\n');
  userGit(side, ['add', 'a.txt']);
  put(side, 'new.txt', 'new\n');
  const before = pictureOf(box.root);
  const saved = await captureIn(box, { worktree: side });
  rmSync(join(box.root, 'private'), { recursive: true });
  expect(pictureOf(box.root)).toEqual(before);
  const again = await captureIn(box, { worktree: side });
  expect(again.commit).toBe(saved.commit);
  expect(saved.branch).toBe('side');
  const from = { worktree: side, privateDir: box.privateDir };
  const { worktree } = await restoreFrom(box, saved.commit, { from });
  expect(standOf(worktree)).toEqual(standOf(side));
});

test('a SHA-256 repository works like any other', async () => {
  const box = seeded(['--object-format=sha256']);
  put(box.repo, 'a.txt', 'changed\n');
  put(box.repo, 'new.txt', 'new\n');
  userGit(box.repo, ['add', 'new.txt']);
  const saved = await captureIn(box);
  expect(saved.commit).toMatch(/^[0-9a-f]{64}$/);
  const { worktree } = await restoreFrom(box, saved.commit);
  expect(filesOf(worktree)).toEqual(filesOf(box.repo));
  expect(standOf(worktree)).toEqual(standOf(box.repo));
});

test('odd names are saved byte for byte', async () => {
  const box = seeded();
  const names = [
    Buffer.from('new\nline'),
    Buffer.from('-rf'),
    Buffer.from('--upload-pack=x'),
    Buffer.from([0xff, 0xfe, 0x2e, 0x74]),
    Buffer.from('ta\tb "quote" \\back'),
    Buffer.from(':(top)x'),
    Buffer.from('git~1'),
    Buffer.from('n'.repeat(255)),
    Buffer.from(' lead and trail '),
  ];
  for (const name of names) {
    writeFileSync(Buffer.concat([Buffer.from(`${box.repo}/`), name]), name);
  }
  put(box.repo, `${'d'.repeat(200)}/`.repeat(19) + 'leaf', 'deep\n');
  const before = pictureOf(box.repo);
  const saved = await captureIn(box);
  expect(pictureOf(box.repo)).toEqual(before);
  expect(saved.notCaptured).toEqual([]);
  const target = join(box.root, 'r');
  const { worktree } = await restoreFrom(box, saved.commit, { target });
  expect(filesOf(worktree)).toEqual(filesOf(box.repo));
  expect(standOf(worktree)).toEqual(standOf(box.repo));
});

test('a path as long as the system allows is saved; one beyond is listed', async () => {
  const box = seeded();
  const make = (letter: string, folders: number, leaf: string): void => {
    const script = `import os\nfor _ in range(${folders}):\n  os.mkdir("${letter}"*250); os.chdir("${letter}"*250)\nopen("${leaf}","w").write("deep")`;
    execFileSync('python3', ['-c', script], { cwd: box.repo });
  };
  // Relative to the worktree 4,095 bytes: as an absolute path no system call would take it.
  make('o', 16, 'x'.repeat(4095 - 16 * 251));
  make('d', 18, 'leaf');
  put(box.repo, 'a.txt', 'rest\n');
  try {
    const saved = await captureIn(box);
    expect(showFile(box, saved.commit, 'a.txt').toString()).toBe('rest\n');
    expect(saved.notCaptured).toEqual([
      { path: expect.stringMatching(/^d{250}\//), reason: 'unreadable: folder' },
    ]);
    const long = namesIn(box, saved.commit).filter((name) => name.length === 4095);
    expect(long).toHaveLength(1);
  } finally {
    execFileSync('rm', ['-rf', 'o'.repeat(250), 'd'.repeat(250)], { cwd: box.repo });
  }
});

test('FIFOs, sockets, devices-to-be and .git look-alikes are listed; empty folders come back', async () => {
  const box = seeded();
  execFileSync('mkfifo', ['pipe', 'dir/pipe'], { cwd: box.repo });
  rmSync(join(box.repo, 'run.sh'));
  execFileSync('mkfifo', ['run.sh'], { cwd: box.repo });
  execFileSync('python3', ['-c', 'import socket; socket.socket(socket.AF_UNIX).bind("sock")'], {
    cwd: box.repo,
  });
  put(box.repo, 'sub/.GIT/config', 'x');
  mkdirSync(join(box.repo, 'empty/inner'), { recursive: true });
  put(box.repo, '.gitignore', 'ignored/\n');
  mkdirSync(join(box.repo, 'ignored/empty'), { recursive: true });
  execFileSync('mkfifo', ['ignored/pipe'], { cwd: box.repo });
  for (const number of [1, 2]) {
    const saved = await captureIn(box, { number });
    expect(reasons(saved.notCaptured)).toEqual({
      'dir/pipe': 'special_file',
      'ignored/': 'ignored',
      pipe: 'special_file',
      'run.sh': 'special_file',
      sock: 'special_file',
      'sub/.GIT/config': 'invalid_name',
    });
    const target = join(box.root, `restored-${number}`);
    const { worktree } = await restoreFrom(box, saved.commit, { target });
    expect(lstatSync(join(worktree, 'empty/inner')).isDirectory()).toBe(true);
  }
});

test('files that change, come and go while they are read never fail the capture', async () => {
  const box = seeded();
  for (let n = 0; n < 50; n += 1) put(box.repo, `still/${n}.txt`, `${n}\n`);
  const script = `i=0; while :; do i=$((i+1)); head -c $((i % 9000)) /dev/urandom > busy.bin; : > t$((i % 20)); rm -f t$(((i + 7) % 20)); done`;
  const writer = spawn('sh', ['-c', script], {
    cwd: box.repo,
    stdio: 'ignore',
    detached: true,
  });
  try {
    let previous: string | null = null;
    for (let number = 1; number <= 4; number += 1) {
      const saved: { commit: string } = await captureIn(box, { number, previous });
      previous = saved.commit;
      expect(namesIn(box, saved.commit)).toEqual(expect.arrayContaining(['still/49.txt', 'a.txt']));
    }
  } finally {
    const ended = once(writer, 'close');
    process.kill(-(writer.pid ?? 0), 'SIGKILL');
    await ended;
  }
});

test('a damaged or emptied private directory is repaired', async () => {
  const box = seeded();
  put(box.repo, 'a.txt', 'v1\n');
  const first = await captureIn(box);
  writeFileSync(join(box.privateDir, 'index'), 'garbage');
  writeFileSync(join(box.privateDir, 'staged.json'), '{"half');
  put(box.repo, 'a.txt', 'v2\n');
  const second = await captureIn(box, { number: 2, previous: first.commit });
  expect(showFile(box, second.commit, 'a.txt').toString()).toBe('v2\n');
  rmSync(box.privateDir, { recursive: true });
  const third = await captureIn(box, { number: 3, previous: second.commit });
  expect(third.warnings.join()).toMatch(/previous checkpoint is gone/);
  expect(showFile(box, third.commit, 'a.txt').toString()).toBe('v2\n');
});

test('a staged blob that the user pruned later is hashed again, never referred to in vain', async () => {
  const box = seeded();
  put(box.repo, 'staged.txt', 'only in the index\n');
  userGit(box.repo, ['add', 'staged.txt']);
  const first = await captureIn(box);
  userGit(box.repo, ['reset', '--quiet']);
  userGit(box.repo, ['prune', '--expire=now']);
  const second = await captureIn(box, { number: 2, previous: null });
  expect(showFile(box, second.commit, 'staged.txt').toString()).toBe('only in the index\n');
  expect(first.tree).toBe(second.tree);
});

test('a worktree must be one, below the roots, and be owned by whom the policy names', async () => {
  const box = seeded();
  mkdirSync(join(box.root, 'plain'));
  symlinkSync('/usr', join(box.repo, 'usr'));
  symlinkSync('repo', join(box.root, 'alias'));
  const at = (worktree: string, roots = [box.root]) =>
    captureIn(box, { worktree, policy: { roots } });
  await expect(at(join(box.root, 'plain'))).rejects.toMatchObject({ code: 'invalid' });
  await expect(at(join(box.repo, 'dir'))).rejects.toMatchObject({ code: 'invalid' });
  await expect(at(join(box.root, 'none'))).rejects.toMatchObject({ code: 'forbidden' });
  await expect(at(join(box.repo, 'usr'))).rejects.toMatchObject({ code: 'forbidden' });
  await expect(at('/etc')).rejects.toMatchObject({ code: 'forbidden' });
  await expect(at('relative')).rejects.toMatchObject({ code: 'invalid' });
  await expect(at(box.repo, [join(box.root, 'rep')])).rejects.toMatchObject({ code: 'forbidden' });
  const inside = captureIn(box, { privateDir: join(box.repo, '.git', 'defib') });
  await expect(inside).rejects.toMatchObject({ code: 'invalid' });
  const stranger = captureIn(box, { policy: { roots: [box.root], owners: [4242] } });
  await expect(stranger).rejects.toMatchObject({ code: 'forbidden' });
  const alias = await at(join(box.root, 'alias'));
  expect(alias.changed).toBe(true);
});
