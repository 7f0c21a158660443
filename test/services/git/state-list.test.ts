import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { decide, isStatePath, STATE_LIST, UNKNOWN } from '../../../src/services/git/state-list.ts';
import { captureIn, commitAll, gitLine, put, seeded, userGit } from './helpers.ts';
import type { Sandbox } from './helpers.ts';

/* The list of git's state is held against git: whatever a command leaves in a git directory has a decision. */

const attempt = (repo: string, args: string[], input?: string): void => {
  try {
    userGit(repo, args, input);
  } catch {
    // a conflict is what is wanted
  }
};

/** Main and `theirs` change the same line; `side` does not. */
function forked(): Sandbox {
  const box = seeded();
  const { repo } = box;
  for (const [name, text] of [
    ['theirs', 'theirs\n'],
    ['side', ''],
  ] as const) {
    userGit(repo, ['checkout', '--quiet', '-b', name, 'main']);
    put(repo, text === '' ? `${name}.txt` : 'a.txt', text);
    commitAll(repo, name);
    put(repo, `${name}.txt`, 'second\n');
    commitAll(repo, `${name} again`);
  }
  userGit(repo, ['checkout', '--quiet', 'main']);
  put(repo, 'a.txt', 'ours\n');
  commitAll(repo, 'ours');
  return box;
}

const OPERATIONS: Record<string, (repo: string, root: string) => void> = {
  'a merge': (repo) => attempt(repo, ['merge', 'theirs']),
  'a merge with autostash': (repo) => {
    put(repo, 'run.sh', 'dirty\n');
    attempt(repo, ['merge', '--autostash', 'theirs']);
  },
  'a merge --no-commit': (repo) => attempt(repo, ['merge', '--no-commit', '--no-ff', 'side']),
  'a squash': (repo) => attempt(repo, ['merge', '--squash', 'side']),
  'an octopus': (repo) => attempt(repo, ['merge', 'side', 'theirs']),
  'a rebase': (repo) => attempt(repo, ['rebase', 'theirs']),
  'a rebase with merges': (repo) => {
    userGit(repo, ['merge', '--quiet', '--no-edit', 'side']);
    attempt(repo, ['rebase', '-r', '--autostash', 'theirs']);
  },
  'a rebase by apply': (repo) => attempt(repo, ['rebase', '--apply', 'theirs']),
  'an interactive rebase that edits': (repo) =>
    attempt(repo, ['-c', 'sequence.editor=sed -i s/^pick/edit/', 'rebase', '-i', 'HEAD~1']),
  'a rebase with exec and update-refs': (repo) =>
    attempt(repo, ['rebase', '--update-refs', '--exec', 'false', 'HEAD~1']),
  'a cherry-pick of many': (repo) =>
    attempt(repo, ['cherry-pick', 'side~2..side', 'theirs~2..theirs']),
  'a revert of many': (repo) => attempt(repo, ['revert', '--no-edit', 'HEAD', 'HEAD~1']),
  'an am': (repo) => {
    const patch = userGit(repo, ['format-patch', '--stdout', 'main..theirs']).toString();
    attempt(repo, ['am', '-3'], patch);
  },
  'a bisect': (repo) => {
    attempt(repo, ['bisect', 'start', '--no-checkout', '--first-parent', 'HEAD', 'HEAD~1']);
    attempt(repo, ['bisect', 'skip']);
  },
  'a bisect with terms': (repo) => {
    attempt(repo, ['bisect', 'start', '--term-old', 'fast', '--term-new', 'slow']);
    attempt(repo, ['bisect', 'slow']);
  },
  'a merge of notes': (repo) => {
    userGit(repo, ['notes', 'add', '-m', 'one']);
    userGit(repo, ['notes', '--ref', 'other', 'add', '-m', 'two']);
    attempt(repo, ['notes', 'merge', 'other']);
  },
  rerere: (repo) => {
    userGit(repo, ['config', 'rerere.enabled', 'true']);
    attempt(repo, ['merge', 'theirs']);
  },
  'a stash': (repo) => {
    put(repo, 'a.txt', 'stashed\n');
    userGit(repo, ['stash']);
  },
  'a fetch into a file of heads': (repo) => attempt(repo, ['fetch', '.', 'side']),
  'pseudo-refs of one’s own': (repo) => attempt(repo, ['update-ref', 'MY_HEAD', 'side']),
  'refs of a worktree': (repo) => attempt(repo, ['update-ref', 'refs/worktree/x', 'side']),
  'a sparse checkout': (repo) => attempt(repo, ['sparse-checkout', 'set', 'dir']),
  'a split index': (repo) => attempt(repo, ['update-index', '--split-index']),
  'an untracked cache': (repo) => attempt(repo, ['update-index', '--untracked-cache']),
  'settings of a worktree': (repo) => {
    userGit(repo, ['config', 'extensions.worktreeConfig', 'true']);
    userGit(repo, ['config', '--worktree', 'user.name', 'x']);
  },
  'a linked worktree': (repo, root) =>
    attempt(repo, ['worktree', 'add', join(root, 'linked'), 'side']),
  'a replacement': (repo) => attempt(repo, ['replace', 'side', 'theirs']),
  'a gc with all extras': (repo) => {
    attempt(repo, ['gc', '--quiet']);
    attempt(repo, ['update-server-info']);
    attempt(repo, ['commit-graph', 'write', '--reachable']);
    attempt(repo, ['multi-pack-index', 'write', '--bitmap']);
    attempt(repo, ['pack-refs', '--all']);
  },
  'a commit that a hook refused': (repo) => {
    put(repo, '.git/hooks/commit-msg', '#!/bin/sh\nexit 1\n', 0o755);
    attempt(repo, ['commit', '--allow-empty', '-m', 'refused']);
  },
  'a description of a branch': (repo) => attempt(repo, ['branch', '--edit-description', 'side']),
  'a submodule': (repo) => {
    attempt(repo, ['-c', 'protocol.file.allow=always', 'submodule', 'add', repo, 'sub']);
  },
};

const pathsIn = (gitDir: string): string[] =>
  readdirSync(gitDir, { recursive: true, encoding: 'utf8' }).filter(
    (path) => !path.startsWith('objects/') && !statSync(join(gitDir, path)).isDirectory(),
  );

for (const [name, act] of Object.entries(OPERATIONS)) {
  test(`everything that ${name} leaves in the git directory is decided on, and kept as decided`, async () => {
    const box = forked();
    act(box.repo, box.root);
    const paths = pathsIn(join(box.repo, '.git'));
    expect(paths.filter((path) => decide(path) === UNKNOWN)).toEqual([]);
    const files = paths.filter((path) => decide(path).decision === 'file');
    expect(files.filter((path) => !isStatePath(path))).toEqual([]);

    const saved = await captureIn(box);
    const state = [
      '--git-dir',
      box.privateDir,
      'ls-tree',
      '-r',
      '--name-only',
      `${saved.commit}^2^2`,
    ];
    const inState = gitLine(box.root, ...state).split('\n');
    expect(inState).toEqual(expect.arrayContaining(files.map((path) => `operation/${path}`)));
    const listed = saved.notCaptured.map(({ path }) => path);
    for (const path of paths.filter((it) => decide(it).decision === 'named')) {
      expect(listed).toContain(`.git/${path}`);
    }
    const refs = userGit(box.privateDir, ['show', `${saved.commit}^2^2:refs`]).toString();
    for (const ref of gitLine(box.repo, 'for-each-ref', '--format=%(refname)').split('\n')) {
      expect(refs).toContain(` ${ref} `);
    }
  });
}

test('what no part of git is known to keep, hooks and old shorthands are named', async () => {
  const box = seeded();
  put(box.repo, '.git/hooks/pre-commit', '#!/bin/sh\n', 0o755);
  put(box.repo, '.git/remotes/old', 'URL: x\n');
  put(box.repo, '.git/info/grafts', '');
  put(box.repo, '.git/lfs/objects/x', 'x');
  put(box.repo, '.git/annex/y', 'y');
  mkdirSync(join(box.repo, '.git/PLACE'));
  writeFileSync(join(box.repo, '.git/some.lock'), '');
  const saved = await captureIn(box);
  expect(saved.notCaptured.map(({ path }) => path)).toEqual([
    '.git/annex',
    '.git/hooks/pre-commit',
    '.git/info/grafts',
    '.git/lfs',
    '.git/remotes/old',
  ]);
  for (const { reason } of saved.notCaptured) expect(reason).toMatch(/^not_carried: ./);
});

test('no path of a checkpoint leads out of what may be written', () => {
  for (const path of [
    'HEAD',
    'config',
    'hooks/pre-commit',
    'rebase-merge/../config',
    'rebase-merge/..',
    '../x',
    'info/grafts',
    'objects/00/1',
    'refs/heads/x',
    'rebase-merge//x',
    'rebase-merge/x\n',
    '/MERGE_HEAD',
  ]) {
    expect(isStatePath(path), path).toBe(false);
  }
  expect(STATE_LIST.every(({ why }) => why !== '')).toBe(true);
});
