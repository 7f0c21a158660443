import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createBundle, remoteHaves } from '../../../src/services/git/bundle.ts';
import { checkpointRef } from '../../../src/services/git/names.ts';
import { deleteLocalRef } from '../../../src/services/git/prune.ts';
import { moveCheckpointRef } from '../../../src/services/git/publish.ts';
import { pushCheckpoint } from '../../../src/services/git/push.ts';
import {
  AGENT,
  captureIn,
  commitAll,
  pictureOf,
  put,
  restoreFrom,
  seeded,
  SESSION,
  userGit,
} from './helpers.ts';
import type { Sandbox } from './helpers.ts';

const HOOKS = [
  'post-index-change',
  'reference-transaction',
  'pre-commit',
  'post-commit',
  'post-checkout',
  'pre-push',
  'pre-receive',
  'update',
  'post-receive',
  'post-update',
  'post-rewrite',
  'pre-auto-gc',
  'proc-receive',
  'push-to-checkout',
  'fsmonitor-watchman',
];

/** A repository in which every known way to have git run a program leads to the same trap. */
function hostile(): { box: Sandbox; trap: string; sprung: () => boolean } {
  const box = seeded();
  const sub = join(box.root, 'sub');
  mkdirSync(sub);
  userGit(sub, ['init', '--quiet']);
  put(sub, 's.txt', 's\n');
  commitAll(sub);
  userGit(box.repo, [
    '-c',
    'protocol.file.allow=always',
    'submodule',
    '--quiet',
    'add',
    sub,
    'sub',
  ]);
  commitAll(box.repo);
  const mark = join(box.root, 'sprung');
  const trap = join(box.root, 'trap');
  put(box.root, 'trap', `#!/bin/sh\necho "$0 $*" >> '${mark}'\nexit 1\n`, 0o755);
  for (const gitDir of [join(box.repo, '.git'), join(box.repo, '.git/modules/sub')]) {
    writeFileSync(join(gitDir, 'config'), config(trap, box), { flag: 'a' });
    for (const hook of HOOKS) put(gitDir, `hooks/${hook}`, `#!/bin/sh\n${trap}\n`, 0o755);
    put(gitDir, 'info/attributes', '* filter=evil diff=evil merge=evil\n');
  }
  put(box.root, 'included', `[core]\n\tfsmonitor = ${trap}\n\tsshCommand = ${trap}\n`);
  put(box.repo, '.gitattributes', '* filter=evil diff=evil merge=evil working-tree-encoding=x\n');
  put(
    box.repo,
    '.gitmodules',
    `[submodule "x"]\n\tpath = sub\n\turl = ext::${trap}\n\tupdate = !${trap}\n`,
  );
  put(box.repo, 'a.txt', 'changed\n');
  put(box.repo, 'sub/s.txt', 'changed\n');
  put(box.repo, '$(touch pwned);`touch pwned`', 'name\n');
  return { box, trap, sprung: () => existsSync(mark) };
}

function config(trap: string, box: Sandbox): string {
  return `
[include]
	path = ${box.root}/included
[includeIf "gitdir:/"]
	path = ${box.root}/included
[core]
	fsmonitor = ${trap}
	hooksPath = ${box.repo}/.git/hooks
	sshCommand = ${trap}
	askPass = ${trap}
	editor = ${trap}
	pager = ${trap}
	gitProxy = ${trap}
	alternateRefsCommand = ${trap}
[pager]
	status = ${trap}
	for-each-ref = ${trap}
[filter "evil"]
	clean = ${trap} %f
	smudge = ${trap} %f
	process = ${trap}
	required = true
[diff]
	external = ${trap}
[diff "evil"]
	command = ${trap}
	textconv = ${trap}
[merge "evil"]
	driver = ${trap}
[credential]
	helper = !${trap}
[gpg]
	program = ${trap}
[commit]
	gpgSign = true
[push]
	gpgSign = true
[url "ext::${trap} "]
	insteadOf = https://
	insteadOf = ${box.root}/
	pushInsteadOf = ${box.root}/
[protocol]
	allow = always
[protocol "ext"]
	allow = always
[uploadpack]
	packObjectsHook = ${trap}
[gc]
	auto = 1
[maintenance]
	auto = true
[alias]
	status = !${trap}
	write-tree = !${trap}
[remote "origin"]
	url = ext::${trap}
	uploadpack = ${trap}
	receivepack = ${trap}
	vcs = evil
[extensions]
	partialClone = origin
`;
}

test('the traps work: the user’s own git steps into them', () => {
  const { box, sprung } = hostile();
  try {
    userGit(box.repo, ['status']);
  } catch {
    // git may well fail on such a repository
  }
  expect(sprung()).toBe(true);
});

test('nothing of a hostile repository runs in capture, publish, bundle, push, prune and restore', async () => {
  const { box, sprung } = hostile();
  const before = pictureOf(box.repo);
  const saved = await captureIn(box);
  expect(pictureOf(box.repo)).toEqual(before);
  put(box.repo, 'a.txt', 'again\n');
  const { commit } = await captureIn(box, { number: 2, previous: saved.commit });
  const ref = checkpointRef(AGENT, SESSION);
  const policy = { roots: [box.root] };
  const base = { worktree: box.repo, privateDir: box.privateDir, policy };
  await moveCheckpointRef({ ...base, ref, commit, expected: null });
  const haves = await remoteHaves(box.repo, 'origin', policy);
  const file = join(box.root, 'x.bundle');
  await createBundle({ ...base, ref, commit, file, haves, maxBytes: 1e7 });
  // The hostile repository as the receiver, by its path.
  const remote = { url: box.repo, policy };
  await pushCheckpoint({ ...base, remote, ref: `${ref}-pushed`, commit, expected: null });
  await restoreFrom(box, commit);
  await restoreFrom(box, commit, { target: join(box.root, 'r2'), from: { bundle: file } });
  await deleteLocalRef(box.repo, policy, { ref, commit });
  expect(sprung()).toBe(false);
  expect(readdirSync(box.repo)).not.toContain('pwned');
});

test('environment variables of the service do not reach git', async () => {
  const { box, trap, sprung } = hostile();
  const evil = {
    GIT_DIR: '/nonexistent',
    GIT_INDEX_FILE: '/nonexistent',
    GIT_EXTERNAL_DIFF: trap,
    GIT_SSH_COMMAND: trap,
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: 'core.fsmonitor',
    GIT_CONFIG_VALUE_0: trap,
  };
  const kept = { ...process.env };
  Object.assign(process.env, evil);
  try {
    expect((await captureIn(box)).changed).toBe(true);
  } finally {
    for (const key of Object.keys(evil)) delete process.env[key];
    Object.assign(process.env, kept);
  }
  expect(sprung()).toBe(false);
});

const separate = (repo: string): void => {
  userGit(repo, ['init', '--quiet', '--separate-git-dir', join(repo, '..', 'moved')]);
};

test('git directories, common directories, objects and alternates must lie below the roots', async () => {
  const outside = seeded();
  const steal: [code: string, make: (repo: string) => void][] = [
    [
      'forbidden',
      (repo) => put(repo, '.git/objects/info/alternates', `${outside.repo}/.git/objects\n`),
    ],
    ['forbidden', (repo) => put(repo, '.git/commondir', `${outside.repo}/.git\n`)],
    [
      'forbidden',
      (repo) => {
        separate(repo);
        writeFileSync(join(repo, '.git'), `gitdir: ${outside.repo}/.git\n`);
      },
    ],
    [
      'invalid',
      (repo) => {
        separate(repo);
        writeFileSync(join(repo, '.git'), '');
      },
    ],
  ];
  for (const [code, make] of steal) {
    const box = seeded();
    make(box.repo);
    await expect(captureIn(box)).rejects.toMatchObject({ code });
  }
});

test('state files that are links are not read, and none is written outside the git directory', async () => {
  const box = seeded();
  put(box.root, 'private.txt', 'secret of another\n');
  put(box.repo, '.git/MERGE_HEAD', `${'1'.repeat(40)}\n`);
  symlinkSync(join(box.root, 'private.txt'), join(box.repo, '.git/MERGE_MSG'));
  mkdirSync(join(box.repo, '.git/rebase-merge'));
  symlinkSync(join(box.root, 'private.txt'), join(box.repo, '.git/rebase-merge/message'));
  put(box.repo, '.git/rebase-merge/..x', 'x');
  const saved = await captureIn(box);
  const all = userGit(box.root, [
    '--git-dir',
    box.privateDir,
    'log',
    '-p',
    '--all',
    '-m',
    saved.commit,
  ]);
  expect(all.toString()).not.toContain('secret of another');
});
