import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createBundle } from '../../../src/services/git/bundle.ts';
import {
  readCheckpoint,
  writeCheckpoint,
  writeState,
} from '../../../src/services/git/checkpoint.ts';
import type { PrivateDir } from '../../../src/services/git/private-dir.ts';
import { checkpointRef } from '../../../src/services/git/names.ts';
import {
  AGENT,
  captureIn,
  commitAll,
  filesOf,
  gitLine,
  NOW,
  put,
  restoreFrom,
  sandbox,
  seeded,
  SESSION,
  standOf,
  userGit,
} from './helpers.ts';
import type { Sandbox } from './helpers.ts';

const REF = checkpointRef(AGENT, SESSION);

/** Restores from the machine, and from nothing but a bundle. */
async function restoreBoth(box: Sandbox, commit: string) {
  const file = join(box.root, `${commit}.bundle`);
  const { privateDir } = box;
  await createBundle({ privateDir, ref: REF, commit, file, haves: [], maxBytes: 1e9 });
  const target = join(box.root, 'from-bundle');
  return [
    await restoreFrom(box, commit),
    await restoreFrom(box, commit, { from: { bundle: file }, target }),
  ];
}

const refsOf = (repo: string): string[] =>
  userGit(repo, ['for-each-ref', '--format=%(objectname) %(refname) %(symref)'])
    .toString('latin1')
    .split('\n')
    .filter((line) => !/ refs\/heads\/checkpoint\/[^/]+\/[^/]+ /.test(line));

/** A ref whose name is bytes. */
function createRef(repo: string, name: Buffer, oid: string): void {
  const stdin = Buffer.concat([Buffer.from('create '), name, Buffer.from(`\0${oid}\0`)]);
  userGit(repo, ['update-ref', '-z', '--stdin'], stdin);
}

const ODD = Buffer.from('refs/heads/caf\xe9', 'latin1');

test('all refs come back, from the machine and from a bundle alone: bytes, tags, stash, notes, symbolic ones', async () => {
  const box = seeded();
  const head = gitLine(box.repo, 'rev-parse', 'HEAD');
  userGit(box.repo, ['checkout', '--quiet', '-b', 'local']);
  put(box.repo, 'local.txt', 'only here\n');
  commitAll(box.repo, 'local');
  userGit(box.repo, ['checkout', '--quiet', 'main']);
  userGit(box.repo, ['tag', 'light', 'local']);
  userGit(box.repo, ['tag', '-a', '-m', 'annotated', 'v1', 'local']);
  userGit(box.repo, ['tag', '-a', '-m', 'tag of a tag', 'v1-again', 'v1']);
  const blob = userGit(box.repo, ['hash-object', '-w', '--stdin'], 'key').toString().trim();
  userGit(box.repo, ['tag', 'a-blob', blob]);
  userGit(box.repo, ['tag', '-a', '-m', 'of a tree', 'a-tree', 'local^{tree}']);
  userGit(box.repo, ['notes', 'add', '-m', 'a note']);
  userGit(box.repo, ['update-ref', 'refs/custom/deep/one', 'local']);
  userGit(box.repo, ['symbolic-ref', 'refs/heads/alias', 'refs/heads/local']);
  userGit(box.repo, ['update-ref', 'refs/worktree/own', 'local']);
  userGit(box.repo, ['branch', 'checkpoint/mine']);
  userGit(box.repo, ['branch', 'checkpoint/other/session']);
  createRef(box.repo, ODD, head);
  createRef(box.repo, Buffer.from('refs/tags/\xff', 'latin1'), head);
  for (const text of ['first', 'second']) {
    put(box.repo, 'a.txt', text);
    userGit(box.repo, ['stash', '--quiet']);
  }
  const saved = await captureIn(box);
  expect(saved.notCaptured).toEqual([]);
  for (const { worktree, warnings } of await restoreBoth(box, saved.commit)) {
    expect(warnings).toEqual([]);
    expect(refsOf(worktree)).toEqual(refsOf(box.repo));
    expect(gitLine(worktree, 'stash', 'list')).toBe(gitLine(box.repo, 'stash', 'list'));
    expect(gitLine(worktree, 'show', 'stash@{1}:a.txt')).toBe('first');
    expect(gitLine(worktree, 'notes', 'show')).toBe('a note');
    expect(userGit(worktree, ['fsck', '--strict', '--no-dangling']).toString()).toBe('');
  }
});

test('a ref that moves makes a new checkpoint; checkpoint branches do not', async () => {
  const box = seeded();
  const first = await captureIn(box);
  userGit(box.repo, ['branch', 'checkpoint/builder/x']);
  const same = await captureIn(box, { number: 2, previous: first.commit });
  expect(same.commit).toBe(first.commit);
  userGit(box.repo, ['branch', 'other']);
  const next = await captureIn(box, { number: 2, previous: first.commit });
  expect(next.changed).toBe(true);
});

for (const target of [ODD, Buffer.from('refs/odd/place')]) {
  test(`HEAD on ${target.toString('latin1')} comes back there`, async () => {
    const box = seeded();
    createRef(box.repo, target, gitLine(box.repo, 'rev-parse', 'HEAD'));
    const text = Buffer.concat([Buffer.from('ref: '), target, Buffer.from('\n')]);
    writeFileSync(join(box.repo, '.git/HEAD'), text);
    put(box.repo, 'a.txt', 'changed\n');
    const saved = await captureIn(box);
    for (const { worktree } of await restoreBoth(box, saved.commit)) {
      expect(readFileSync(join(worktree, '.git/HEAD'))).toEqual(text);
      commitAll(worktree, 'on');
      expect(gitLine(worktree, 'log', '--format=%s', '-1')).toBe('on');
    }
  });
}

test('a rebase with merges goes on to the right history after a restore', async () => {
  const box = seeded();
  const make = (name: string, from: string) => {
    userGit(box.repo, ['checkout', '--quiet', '-b', name, from]);
    put(box.repo, `${name}.txt`, name);
    commitAll(box.repo, name);
  };
  make('base', 'main');
  put(box.repo, 'both.txt', 'base\n');
  commitAll(box.repo, 'both of base');
  make('topic', 'main');
  make('side', 'main');
  userGit(box.repo, ['checkout', '--quiet', 'topic']);
  userGit(box.repo, ['merge', '--quiet', '--no-ff', '-m', 'merge side', 'side']);
  put(box.repo, 'both.txt', 'topic\n');
  commitAll(box.repo, 'both of topic');
  expect(() => userGit(box.repo, ['rebase', '-r', 'base'])).toThrow();
  expect(refsOf(box.repo).join()).toContain('refs/rewritten/');
  const saved = await captureIn(box);
  expect(saved.operation).toBe('rebase');
  const goOn = (worktree: string): string => {
    put(worktree, 'both.txt', 'resolved\n');
    userGit(worktree, ['add', '-A']);
    userGit(worktree, ['rebase', '--continue']);
    return gitLine(worktree, 'log', '--graph', '--format=%s %T', 'topic', '--');
  };
  const restored = await restoreBoth(box, saved.commit);
  const wanted = goOn(box.repo);
  expect(wanted).toContain('merge side');
  for (const { worktree } of restored) expect(goOn(worktree)).toBe(wanted);
});

test('a bisect goes on where it was, AUTO_MERGE and ORIG_HEAD come back', async () => {
  const box = seeded();
  for (let n = 1; n <= 8; n += 1) {
    put(box.repo, 'n.txt', `${n}\n`);
    commitAll(box.repo, `${n}`);
  }
  userGit(box.repo, ['bisect', 'start', 'HEAD', 'HEAD~8']);
  userGit(box.repo, ['bisect', 'good']);
  const saved = await captureIn(box);
  expect(saved.operation).toBe('bisect');
  for (const { worktree } of await restoreBoth(box, saved.commit)) {
    expect(refsOf(worktree)).toEqual(refsOf(box.repo));
    expect(gitLine(worktree, 'bisect', 'log')).toBe(gitLine(box.repo, 'bisect', 'log'));
    userGit(worktree, ['bisect', 'bad']);
  }
});

test('pseudo-refs outlive the objects that only they know', async () => {
  const box = seeded();
  userGit(box.repo, ['checkout', '--quiet', '-b', 'theirs']);
  put(box.repo, 'a.txt', 'theirs\n');
  commitAll(box.repo);
  userGit(box.repo, ['checkout', '--quiet', 'main']);
  put(box.repo, 'a.txt', 'ours\n');
  commitAll(box.repo);
  put(box.repo, 'a.txt', 'dropped\n');
  commitAll(box.repo, 'dropped');
  userGit(box.repo, ['reset', '--quiet', '--hard', 'HEAD~1']);
  expect(() =>
    userGit(box.repo, ['-c', 'merge.conflictStyle=merge', 'merge', '-s', 'ort', 'theirs']),
  ).toThrow();
  const saved = await captureIn(box);
  for (const { worktree } of await restoreBoth(box, saved.commit)) {
    expect(gitLine(worktree, 'log', '-1', '--format=%s', 'ORIG_HEAD')).toBe(
      gitLine(box.repo, 'log', '-1', '--format=%s', 'ORIG_HEAD'),
    );
    const at = gitLine(box.repo, 'rev-parse', 'AUTO_MERGE');
    expect(gitLine(worktree, 'rev-parse', 'AUTO_MERGE')).toBe(at);
    expect(gitLine(worktree, 'cat-file', '-t', at)).toBe('tree');
  }
});

test('a ref whose objects are gone is named, and the rest is saved', async () => {
  const box = seeded();
  userGit(box.repo, ['branch', 'whole']);
  userGit(box.repo, ['checkout', '--quiet', '-b', 'broken']);
  put(box.repo, 'lost.txt', 'lost\n');
  commitAll(box.repo, 'lost');
  const lost = gitLine(box.repo, 'rev-parse', 'HEAD:lost.txt');
  userGit(box.repo, ['checkout', '--quiet', 'main']);
  rmSync(join(box.repo, '.git/objects', lost.slice(0, 2), lost.slice(2)));
  const saved = await captureIn(box);
  expect(saved.notCaptured).toEqual([
    {
      path: 'refs/heads/broken',
      reason: expect.stringMatching(/^repository: .* missing/) as string,
    },
  ]);
  const [, fromBundle] = await restoreBoth(box, saved.commit);
  expect(fromBundle?.warnings.join()).toContain('refs/heads/broken');
  expect(refsOf(fromBundle?.worktree ?? '').join()).toContain('refs/heads/whole');
});

test('settings come back from a bundle alone, without credentials; what is left behind is named', async () => {
  const box = seeded();
  for (const [key = '', value = ''] of [
    ['user.email', 'agent@example.com'],
    ['remote.fork.url', 'https://me:sesame@example.com/x.git'],
    ['remote.fork.promisor', 'true'],
    ['branch.side.remote', 'fork'],
    ['core.sshCommand', 'touch pwned'],
    ['http.https://me:sesame@example.com/.proxy', 'x'],
  ]) {
    userGit(box.repo, ['config', key, value]);
  }
  put(box.repo, '.git/info/exclude', '*.tmp\n');
  put(box.repo, 'x.tmp', 'ignored here\n');
  const saved = await captureIn(box);
  const [, restored] = await restoreBoth(box, saved.commit);
  const { worktree = '', warnings = [] } = restored ?? {};
  const listed = gitLine(worktree, 'config', '--local', '--list');
  expect(listed).toContain('remote.fork.url=https://example.com/x.git');
  expect(listed).toMatch(/user\.email=agent@example\.com[^]*|branch\.side\.remote=fork/);
  expect(listed + warnings.join()).not.toMatch(/sesame|pwned/);
  expect(warnings.join()).toContain('core.sshcommand, http.https://example.com/.proxy');
  expect(readFileSync(join(worktree, '.git/info/exclude'), 'utf8')).toBe('*.tmp\n');
});

for (const away of [true, false]) {
  test(`a sparse partial clone is restored, with its remote ${away ? 'away' : 'at hand'}`, async () => {
    const box = sandbox();
    const { repo: up } = box;
    for (const path of ['a/1', 'b/2', 'c/3', 'root']) put(up, path, `${path}\n`);
    commitAll(up);
    put(up, 'b/2', 'again\n');
    commitAll(up, 'again');
    userGit(up, ['branch', 'side', 'HEAD~1']);
    userGit(up, ['config', 'uploadpack.allowFilter', 'true']);
    userGit(up, ['config', 'uploadpack.allowAnySHA1InWant', 'true']);
    const upstream = join(box.root, 'upstream');
    renameSync(up, upstream);
    userGit(box.root, [
      'clone',
      '--quiet',
      '--filter=blob:none',
      '--sparse',
      `file://${upstream}`,
      'repo',
    ]);
    userGit(box.repo, ['sparse-checkout', 'set', 'a']);
    put(box.repo, 'a/1', 'stashed\n');
    userGit(box.repo, ['stash', '--quiet']);
    put(box.repo, 'a/1', 'changed\n');
    put(box.repo, 'a/new', 'new\n');
    userGit(box.repo, ['branch', 'mine']);
    if (away) renameSync(upstream, join(box.root, 'away'));
    const saved = await captureIn(box);
    expect(saved.notCaptured).toEqual([]);
    const { worktree, warnings } = await restoreFrom(box, saved.commit);
    expect(warnings.filter((line) => !line.includes('worktreeconfig'))).toEqual([]);
    expect(filesOf(worktree)).toEqual(filesOf(box.repo));
    expect(standOf(worktree)['status']).toBe(standOf(box.repo)['status']);
    expect(refsOf(worktree)).toEqual(refsOf(box.repo));
    expect(gitLine(worktree, 'config', 'remote.origin.partialclonefilter')).toBe('blob:none');
    expect(gitLine(worktree, 'show', 'stash@{0}:a/1')).toBe('stashed');
    if (!away) expect(gitLine(worktree, 'show', 'HEAD:c/3')).toBe('c/3');
    const file = join(box.root, 'thin.bundle');
    const haves = gitLine(box.repo, 'rev-parse', 'origin/main', 'origin/side').split('\n');
    const { privateDir } = box;
    const { commit } = saved;
    await createBundle({ privateDir, ref: REF, commit, file, haves, maxBytes: 1e9 });
    const from = { bundle: file, base: away ? join(box.root, 'away') : upstream };
    const other = await restoreFrom(box, commit, { from, target: join(box.root, 'elsewhere') });
    expect(other.warnings.filter((line) => !line.includes('worktreeconfig'))).toEqual([]);
    expect(filesOf(other.worktree)).toEqual(filesOf(box.repo));
    expect(refsOf(other.worktree)).toEqual(refsOf(box.repo));
    expect(gitLine(other.worktree, 'config', 'remote.origin.promisor')).toBe('true');
  });
}

test('a checkpoint of the first format takes its refs and settings from the source, as before', async () => {
  const box = seeded();
  userGit(box.repo, ['branch', 'other']);
  createRef(box.repo, ODD, gitLine(box.repo, 'rev-parse', 'HEAD'));
  userGit(box.repo, ['config', 'user.email', 'agent@example.com']);
  put(box.repo, '.git/info/exclude', '*.tmp\n');
  put(box.repo, 'a.txt', 'changed\n');
  const saved = await captureIn(box);
  const made = await readCheckpoint(saved.commit, { gitDir: box.privateDir });
  const dir: PrivateDir = {
    path: box.privateDir,
    index: join(box.privateDir, 'index'),
    store: join(box.privateDir, 'store'),
    objectFormat: 'sha1',
  };
  const { tree, indexTree, head, state } = made!;
  const commit = await writeCheckpoint(dir, {
    tree,
    indexTree,
    head,
    stateTree: await writeState(dir, { ...state, version: 1 }, new Map()),
    stateParents: [],
    previous: null,
    agentName: AGENT,
    sessionId: SESSION,
    number: 1,
    at: NOW,
  });
  const { worktree, warnings } = await restoreFrom(box, commit);
  expect(warnings).toEqual([]);
  expect(filesOf(worktree)).toEqual(filesOf(box.repo));
  expect(refsOf(worktree)).toEqual(refsOf(box.repo));
  expect(gitLine(worktree, 'config', 'user.email')).toBe('agent@example.com');
  expect(readFileSync(join(worktree, '.git/info/exclude'), 'utf8')).toBe('*.tmp\n');
});
