import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
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
  seeded,
  standOf,
  userGit,
} from './helpers.ts';

test('restores files, staged and unstaged state, branch and remotes; the source stays as it was', async () => {
  const box = seeded();
  userGit(box.root, ['init', '--quiet', '--bare', 'origin.git']);
  userGit(box.repo, ['remote', 'add', 'origin', '../origin.git']);
  userGit(box.repo, ['push', '--quiet', '-u', 'origin', 'main']);
  put(box.repo, 'a.txt', 'staged\n');
  userGit(box.repo, ['add', 'a.txt']);
  put(box.repo, 'a.txt', 'unstaged\n');
  put(box.repo, 'untracked.sh', 'x', 0o755);
  userGit(box.repo, ['rm', '--quiet', 'dir/b.txt']);
  rmSync(join(box.repo, 'run.sh'));
  symlinkSync('a.txt', join(box.repo, 'link'));
  mkdirSync(join(box.repo, 'empty/inner'), { recursive: true });
  const saved = await captureIn(box);
  const before = pictureOf(box.repo);

  const restored = await restoreFrom(box, saved.commit);

  expect(pictureOf(box.repo)).toEqual(before);
  expect(restored).toMatchObject({ tree: saved.tree, branch: 'main', head: saved.head });
  expect(filesOf(restored.worktree)).toEqual(filesOf(box.repo));
  expect(standOf(restored.worktree)).toEqual(standOf(box.repo));
  rmSync(box.repo, { recursive: true });
  commitAll(restored.worktree, 'go on');
  userGit(restored.worktree, ['push', '--quiet']);
  expect(gitLine(join(box.root, 'origin.git'), 'rev-parse', 'main')).toBe(
    gitLine(restored.worktree, 'rev-parse', 'HEAD'),
  );
  expect(userGit(restored.worktree, ['fsck', '--strict', '--no-dangling']).toString()).toBe('');
});

test('refuses when one byte of the restored files differs, and leaves nothing behind', async () => {
  const box = seeded();
  const saved = await captureIn(box);
  const tampered = restoreFrom(box, saved.commit, {
    onStage: (stage, folder) => {
      if (stage === 'files') writeFileSync(join(folder, 'a.txt'), 'onE\n');
    },
  });
  await expect(tampered).rejects.toMatchObject({ code: 'conflict' });
  const added = restoreFrom(box, saved.commit, {
    onStage: (stage, folder) => {
      if (stage === 'files') writeFileSync(join(folder, 'one-more.txt'), '');
    },
  });
  await expect(added).rejects.toThrow(/fingerprint/);
  expect([...pictureOf(box.root).keys()].filter((path) => path.includes('restore'))).toEqual([]);
});

test('never writes over what is there, nor outside the roots', async () => {
  const box = seeded();
  const saved = await captureIn(box);
  put(box.root, 'taken/file.txt', 'mine\n');
  const taken = restoreFrom(box, saved.commit, { target: join(box.root, 'taken') });
  await expect(taken).rejects.toMatchObject({ code: 'conflict' });
  expect(readFileSync(join(box.root, 'taken/file.txt'), 'utf8')).toBe('mine\n');

  mkdirSync(join(box.root, 'free'));
  await restoreFrom(box, saved.commit, { target: join(box.root, 'free') });
  expect(existsSync(join(box.root, 'free/a.txt'))).toBe(true);

  symlinkSync('/tmp', join(box.root, 'exit'));
  for (const target of ['/tmp/defib-outside', join(box.root, 'exit', 'x'), 'relative']) {
    await expect(restoreFrom(box, saved.commit, { target })).rejects.toThrow(/roots|absolute/);
  }
});

test('carries identity and conversions over, and no setting that names a program', async () => {
  const box = seeded();
  for (const [key, value] of [
    ['user.email', 'agent@example.com'],
    ['core.autocrlf', 'input'],
    ['core.sshCommand', 'touch pwned'],
    ['filter.x.clean', 'touch pwned'],
    ['credential.helper', '!touch pwned'],
    ['branch.main.description', 'odd "quotes" \\ and\nlines'],
  ]) {
    userGit(box.repo, ['config', key ?? '', value ?? '']);
  }
  const saved = await captureIn(box);
  const { worktree, warnings } = await restoreFrom(box, saved.commit);
  expect(gitLine(worktree, 'config', 'user.email')).toBe('agent@example.com');
  expect(gitLine(worktree, 'config', 'core.autocrlf')).toBe('input');
  expect(gitLine(worktree, 'config', 'branch.main.description')).toBe('odd "quotes" \\ and\nlines');
  expect(warnings.join()).toContain('core.sshcommand, credential.helper, filter.x.clean');
  expect(userGit(worktree, ['config', '--list']).toString()).not.toContain('pwned');
});

const refs = (at: string): string =>
  gitLine(at, 'for-each-ref', '--format=%(refname) %(objectname)');

for (const from of ['the worktree', 'the private directory alone'] as const) {
  test(`how the worktree is to be read is carried over from ${from}`, async () => {
    const box = seeded();
    userGit(box.repo, ['config', 'core.fileMode', 'false']);
    userGit(box.repo, ['config', 'core.symlinks', 'false']);
    userGit(box.repo, ['config', 'core.autocrlf', 'true']);
    chmodSync(join(box.repo, 'a.txt'), 0o755);
    put(box.repo, 'dir/b.txt', 'two\r\n');
    const link = userGit(box.repo, ['hash-object', '-w', '--stdin'], 'a.txt').toString().trim();
    userGit(box.repo, ['update-index', '--add', '--cacheinfo', `120000,${link},link`]);
    put(box.repo, 'link', 'a.txt');
    userGit(box.repo, ['add', 'dir/b.txt']);
    userGit(box.repo, ['commit', '--quiet', '-m', 'link']);
    expect(gitLine(box.repo, 'status', '--porcelain')).toBe('');
    const saved = await captureIn(box);
    const { privateDir } = box;
    const where = from === 'the worktree' ? {} : { from: { privateDir, base: box.repo } };
    const { worktree } = await restoreFrom(box, saved.commit, where);
    expect(filesOf(worktree)).toEqual(filesOf(box.repo));
    expect(gitLine(worktree, 'status', '--porcelain')).toBe('');
  });
}

test('brings branches, tags and the whole stash along, but no checkpoint branches', async () => {
  const box = seeded();
  userGit(box.repo, ['branch', 'other']);
  userGit(box.repo, ['tag', 'v1']);
  userGit(box.repo, ['branch', 'checkpoint/builder/old']);
  for (const text of ['first', 'second']) {
    put(box.repo, 'a.txt', text);
    userGit(box.repo, ['stash', '--quiet']);
  }
  const saved = await captureIn(box);
  const { worktree } = await restoreFrom(box, saved.commit);
  expect(refs(worktree)).toBe(
    refs(box.repo)
      .split('\n')
      .filter((line) => !line.includes('checkpoint/'))
      .join('\n'),
  );
  expect(gitLine(worktree, 'stash', 'list')).toBe(gitLine(box.repo, 'stash', 'list'));
});

test('a commit that is no checkpoint, or is nowhere, is refused', async () => {
  const box = seeded();
  const saved = await captureIn(box);
  const plain = restoreFrom(box, saved.head ?? '');
  await expect(plain).rejects.toMatchObject({ code: 'invalid' });
  const nowhere = restoreFrom(box, '1'.repeat(40));
  await expect(nowhere).rejects.toMatchObject({ code: 'not_found' });
  await expect(restoreFrom(box, '--upload-pack=x')).rejects.toMatchObject({ code: 'invalid' });
});
