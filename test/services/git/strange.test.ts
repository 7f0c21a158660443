import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { patchBetween, summarizeChanges } from '../../../src/services/git/diff.ts';
import { readCheckpoint } from '../../../src/services/git/checkpoint.ts';
import { moveCheckpointRef } from '../../../src/services/git/publish.ts';
import { checkpointRef } from '../../../src/services/git/names.ts';
import {
  AGENT,
  captureIn,
  commitAll,
  filesOf,
  gitLine,
  namesIn,
  put,
  restoreFrom,
  sandbox,
  seeded,
  SESSION,
  showFile,
  standOf,
  userGit,
} from './helpers.ts';
import type { Sandbox } from './helpers.ts';

/* One broken part of a repository never costs the rest: the files are saved, and what is broken is named. */

async function restored(box: Sandbox, commit: string): Promise<string> {
  return (await restoreFrom(box, commit)).worktree;
}

function withSubmodule(box: Sandbox): void {
  const lib = join(box.root, 'lib');
  mkdirSync(lib);
  userGit(lib, ['init', '--quiet']);
  put(lib, 'lib.txt', 'lib\n');
  commitAll(lib);
  userGit(box.repo, ['-c', 'protocol.file.allow=always', 'submodule', '--quiet', 'add', lib]);
  commitAll(box.repo);
}

test('an invalid .gitmodules beside a changed submodule', async () => {
  const box = seeded();
  withSubmodule(box);
  put(box.repo, 'lib/more.txt', 'more\n');
  commitAll(join(box.repo, 'lib'));
  put(box.repo, '.gitmodules', '[submodule "lib"\nnot valid = \n');
  put(box.repo, 'a.txt', 'work\n');
  const saved = await captureIn(box);
  expect(showFile(box, saved.commit, 'a.txt').toString()).toBe('work\n');
  expect(saved.filesChanged).toBe(3);
  const checkpoint = await readCheckpoint(saved.commit, { gitDir: box.privateDir });
  const diff = { privateDir: box.privateDir, commit: saved.commit };
  const { unstaged } = await summarizeChanges({
    ...diff,
    head: saved.head,
    index: checkpoint?.index ?? '',
  });
  expect(unstaged.files.map((file) => file.path)).toContain('a.txt');
  const { patch } = await patchBetween({ ...diff, from: saved.head ?? '', maxBytes: 10_000 });
  expect(patch.toString()).toContain('+work');
  const worktree = await restored(box, saved.commit);
  const { lib: _, ...files } = Object.fromEntries(filesOf(worktree));
  expect(files).toMatchObject({ 'a.txt': filesOf(box.repo).get('a.txt') });
});

test('a .gitmodules that became a link is listed, and the old file is not brought back', async () => {
  const box = seeded();
  put(box.repo, '.gitmodules', '');
  put(box.repo, 'deep/.gitmodules', '');
  commitAll(box.repo);
  for (const folder of ['', 'deep/']) {
    rmSync(join(box.repo, `${folder}.gitmodules`));
    symlinkSync('elsewhere', join(box.repo, `${folder}.gitmodules`));
  }
  put(box.repo, 'a.txt', 'work\n');
  const saved = await captureIn(box);
  expect(namesIn(box, saved.commit)).toEqual(['a.txt', 'dir/b.txt', 'run.sh']);
  expect(saved.notCaptured).toEqual(
    ['.gitmodules', 'deep/.gitmodules'].map((path) => ({
      path,
      reason: expect.stringMatching(/^invalid_name: /),
    })),
  );
});

test('a damaged index: the files are saved, and what was staged is said to be lost', async () => {
  const box = seeded();
  put(box.repo, '.gitignore', '*.log\n');
  put(box.repo, 'kept.log', 'tracked\n');
  userGit(box.repo, ['add', '-f', '.']);
  commitAll(box.repo);
  put(box.repo, 'a.txt', 'work\n');
  const index = join(box.repo, '.git/index');
  for (const bytes of ['', 'garbage', 'DIRC\0\0\0\u0002\0\0\0\u0009 and then nothing of nine']) {
    writeFileSync(index, bytes);
    const privateDir = join(box.root, `private-${bytes.length}`);
    const at = { ...box, privateDir };
    const saved = await captureIn(at);
    expect(showFile(at, saved.commit, 'a.txt').toString()).toBe('work\n');
    expect(namesIn(at, saved.commit)).toContain('kept.log');
    expect(saved.warnings.join()).toMatch(/index.*cannot be read/);
    const again = await captureIn(at, { number: 2, previous: saved.commit });
    expect(again).toMatchObject({ changed: false, tree: saved.tree });
    const target = join(box.root, `restored-${bytes.length}`);
    const { worktree } = await restoreFrom(at, saved.commit, { target });
    expect(filesOf(worktree)).toEqual(filesOf(box.repo));
  }
});

test('an index whose shared part is gone', async () => {
  const box = seeded();
  userGit(box.repo, ['update-index', '--split-index']);
  put(box.repo, 'a.txt', 'work\n');
  const shared = gitLine(box.repo, 'rev-parse', '--shared-index-path');
  rmSync(join(box.repo, shared));
  const saved = await captureIn(box);
  expect(showFile(box, saved.commit, 'a.txt').toString()).toBe('work\n');
  expect(saved.warnings.join()).toMatch(/index.*cannot be read/);
});

test('a configuration that git cannot read', async () => {
  const box = seeded();
  put(box.repo, 'a.txt', 'work\n');
  const head = gitLine(box.repo, 'rev-parse', 'HEAD');
  put(box.repo, '.git/config', '[core]\n\trepositoryformatversion = 0\n[half\n');
  const saved = await captureIn(box);
  expect(saved).toMatchObject({ head, branch: 'main' });
  expect(showFile(box, saved.commit, 'a.txt').toString()).toBe('work\n');
  expect(saved.warnings.join()).toMatch(/configuration.*cannot be read/);
});

test('a HEAD that leads nowhere', async () => {
  const box = seeded();
  put(box.repo, 'a.txt', 'work\n');
  for (const text of ['garbage\n', '']) {
    writeFileSync(join(box.repo, '.git/HEAD'), text);
    const at = { ...box, privateDir: join(box.root, `private-${text.length}`) };
    const saved = await captureIn(at);
    expect(saved.head).toBeNull();
    expect(showFile(at, saved.commit, 'a.txt').toString()).toBe('work\n');
    expect(saved.warnings.join()).toMatch(/HEAD.*cannot be read/);
    const target = join(box.root, `restored-${text.length}`);
    const { worktree } = await restoreFrom(at, saved.commit, {
      target,
      from: { privateDir: at.privateDir, base: box.repo },
    });
    expect(filesOf(worktree)).toEqual(filesOf(box.repo));
  }
});

test('a branch file that a crash left empty is named, not taken for a branch without commits', async () => {
  const box = seeded();
  put(box.repo, 'a.txt', 'work\n');
  writeFileSync(join(box.repo, '.git/refs/heads/main'), '');
  const saved = await captureIn(box);
  expect(saved.warnings.join()).toMatch(/HEAD.*cannot be read/);
  expect(showFile(box, saved.commit, 'a.txt').toString()).toBe('work\n');
});

test('conflicts between a file and a folder of the same name', async () => {
  const box = seeded();
  userGit(box.repo, ['checkout', '--quiet', '-b', 'side']);
  put(box.repo, 'thing/inner.txt', 'folder\n');
  commitAll(box.repo);
  userGit(box.repo, ['checkout', '--quiet', 'main']);
  put(box.repo, 'thing', 'file\n');
  commitAll(box.repo);
  expect(() => userGit(box.repo, ['merge', '-s', 'recursive', 'side'])).toThrow();
  // As older merges left it: both names in the index, one of them in stages.
  const [file, folder] = ['HEAD:thing', 'side:thing/inner.txt'].map((name) =>
    gitLine(box.repo, 'rev-parse', name),
  );
  userGit(box.repo, ['rm', '--quiet', '--cached', '-r', '--ignore-unmatch', 'thing', 'thing~HEAD']);
  const lines = `100644 ${file} 2\tthing\n100644 ${folder} 0\tthing/inner.txt\n`;
  userGit(box.repo, ['update-index', '--index-info'], lines);
  put(box.repo, 'a.txt', 'work\n');
  const saved = await captureIn(box);
  expect(saved.warnings).toEqual([]);
  const worktree = await restored(box, saved.commit);
  expect(filesOf(worktree)).toEqual(filesOf(box.repo));
  expect(standOf(worktree)).toEqual(standOf(box.repo));
});

test('a nested repository that cannot be entered, and a submodule without a commit', async () => {
  const box = seeded();
  withSubmodule(box);
  userGit(box.repo, ['init', '--quiet', 'closed']);
  put(box.repo, 'closed/file.txt', 'closed\n');
  put(box.repo, 'lib/.git', 'gitdir: /nonexistent\n');
  put(box.repo, 'a.txt', 'work\n');
  chmodSync(join(box.repo, 'closed'), 0o000);
  try {
    const saved = await captureIn(box);
    expect(showFile(box, saved.commit, 'a.txt').toString()).toBe('work\n');
    expect(namesIn(box, saved.commit)).toContain('lib');
    expect(saved.notCaptured.map(({ path }) => path)).toContain('lib/');
  } finally {
    chmodSync(join(box.repo, 'closed'), 0o755);
  }
});

for (const name of ['new\nline', '"quoted"', '#hash', ' spaces ', 'a:b;c', 'end\n']) {
  test(`a worktree whose path holds odd characters: ${JSON.stringify(name)}`, async () => {
    const outer = sandbox();
    const repo = join(outer.root, name);
    mkdirSync(repo);
    userGit(repo, ['init', '--quiet', '-b', 'main']);
    const box = { ...outer, repo };
    put(repo, 'a.txt', 'one\n');
    commitAll(repo);
    put(repo, 'a.txt', 'work\n');
    const first = await captureIn(box);
    put(repo, 'b.txt', 'more\n');
    const saved = await captureIn(box, { number: 2, previous: first.commit });
    expect(showFile(box, saved.commit, 'b.txt').toString()).toBe('more\n');
    const worktree = await restored(box, saved.commit);
    expect(filesOf(worktree)).toEqual(filesOf(repo));
    expect(standOf(worktree)).toEqual(standOf(repo));
    const ref = checkpointRef(AGENT, SESSION);
    const move = { worktree: repo, privateDir: box.privateDir, policy: { roots: [box.root] } };
    await moveCheckpointRef({ ...move, ref, commit: saved.commit, expected: null });
    expect(gitLine(repo, 'rev-parse', ref)).toBe(saved.commit);
    const side = join(outer.root, `side ${name}`);
    userGit(repo, ['worktree', 'add', '--quiet', '-b', 'side', side]);
    put(side, 'side.txt', 'side\n');
    const linked = { ...box, repo: side, privateDir: join(box.root, 'private', 'side') };
    const beside = await captureIn(linked);
    expect(showFile(linked, beside.commit, 'side.txt').toString()).toBe('side\n');
  });
}
