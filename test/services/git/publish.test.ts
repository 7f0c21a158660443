import {
  existsSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkpointRef } from '../../../src/services/git/names.ts';
import { deleteLocalRef, deleteRemoteRef } from '../../../src/services/git/prune.ts';
import { moveCheckpointRef } from '../../../src/services/git/publish.ts';
import { pushCheckpoint, remoteRef } from '../../../src/services/git/push.ts';
import { checkUrl } from '../../../src/services/git/url.ts';
import {
  AGENT,
  captureIn,
  filesOf,
  gitLine,
  pictureOf,
  put,
  restoreFrom,
  seeded,
  SESSION,
  standOf,
  userGit,
} from './helpers.ts';
import type { Sandbox } from './helpers.ts';
import { httpRemote } from './http-remote.ts';

const REF = checkpointRef(AGENT, SESSION);

const publish = (box: Sandbox, commit: string, expected: string | null): Promise<void> =>
  moveCheckpointRef({
    worktree: box.repo,
    privateDir: box.privateDir,
    policy: { roots: [box.root] },
    ref: REF,
    commit,
    expected,
  });

const prune = (box: Sandbox, commit: string) =>
  deleteLocalRef(box.repo, { roots: [box.root] }, { ref: REF, commit });

/** What must not change in the user's repository when a checkpoint branch is moved in it. */
const restOf = (repo: string): Map<string, string> =>
  new Map(
    [...pictureOf(repo)].filter(
      ([path]) => !/^\.git\/(?:objects|refs\/heads\/checkpoint)(?:\/|$)/.test(path),
    ),
  );

test('the branch in the own repository moves by compare-and-swap and can be restored from', async () => {
  const box = seeded();
  const hook = '#!/bin/sh\ntouch "$(dirname "$0")/../hook-ran"\n';
  for (const name of ['reference-transaction', 'post-index-change']) {
    put(box.repo, `.git/hooks/${name}`, hook, 0o755);
  }
  put(box.repo, 'a.txt', 'v1\n');
  put(box.repo, 'new.txt', 'new\n');
  userGit(box.repo, ['add', 'new.txt']);
  rmSync(join(box.repo, '.git/hook-ran'), { force: true });
  const before = restOf(box.repo);
  const first = await captureIn(box);
  await publish(box, first.commit, null);
  await publish(box, first.commit, null);
  put(box.repo, 'a.txt', 'v2\n');
  const after = restOf(box.repo);
  const second = await captureIn(box, { number: 2, previous: first.commit });
  await publish(box, second.commit, first.commit);

  expect(gitLine(box.repo, 'rev-parse', REF)).toBe(second.commit);
  expect(restOf(box.repo)).toEqual(after);
  expect([...before.keys()]).toEqual([...after.keys()]);
  expect(existsSync(join(box.repo, '.git/hook-ran'))).toBe(false);
  // The repository alone suffices: the private directory may go.
  rmSync(box.privateDir, { recursive: true });
  expect(userGit(box.repo, ['fsck', '--strict', '--no-dangling']).toString()).toBe('');
  userGit(box.repo, ['gc', '--quiet', '--prune=now']);
  const { worktree } = await restoreFrom(box, second.commit, { from: { worktree: box.repo } });
  expect(filesOf(worktree)).toEqual(filesOf(box.repo));
  expect(standOf(worktree)).toEqual(standOf(box.repo));
});

test('a branch that someone else moved is neither moved nor deleted', async () => {
  const box = seeded();
  put(box.repo, 'a.txt', 'v1\n');
  const { commit, head } = await captureIn(box);
  await publish(box, commit, null);
  userGit(box.repo, ['update-ref', REF, head ?? '']);
  put(box.repo, 'a.txt', 'v2\n');
  const next = await captureIn(box, { number: 2, previous: commit });
  await expect(publish(box, next.commit, commit)).rejects.toMatchObject({ code: 'conflict' });
  await expect(publish(box, next.commit, null)).rejects.toMatchObject({ code: 'conflict' });
  expect(await prune(box, commit)).toBe('moved');
  expect(gitLine(box.repo, 'rev-parse', REF)).toBe(head);
});

test('a branch named "checkpoint" is in the way: said clearly, nothing changed', async () => {
  const box = seeded();
  userGit(box.repo, ['branch', 'checkpoint']);
  const { commit } = await captureIn(box);
  await expect(publish(box, commit, null)).rejects.toMatchObject({ code: 'conflict' });
});

test('prune deletes the branch, loose or packed, with its folders, and nothing else', async () => {
  const box = seeded();
  const before = restOf(box.repo);
  const { commit } = await captureIn(box);
  await publish(box, commit, null);
  expect(await prune(box, commit)).toBe('deleted');
  expect(await prune(box, commit)).toBe('absent');
  expect(restOf(box.repo)).toEqual(before);
  expect(existsSync(join(box.repo, '.git/refs/heads/checkpoint'))).toBe(false);
  await publish(box, commit, null);
  userGit(box.repo, ['pack-refs', '--all']);
  expect(await prune(box, commit)).toBe('deleted');
  expect(gitLine(box.repo, 'for-each-ref', '--format=%(refname)')).toBe('refs/heads/main');
});

test('only an old lock is swept', async () => {
  const box = seeded();
  const { commit } = await captureIn(box);
  const lock = join(box.repo, '.git', `${REF}.lock`);
  mkdirSync(join(lock, '..'), { recursive: true });
  writeFileSync(lock, '');
  await expect(publish(box, commit, null)).rejects.toMatchObject({ code: 'unavailable' });
  utimesSync(lock, 1, 1);
  await publish(box, commit, null);
  expect(existsSync(lock)).toBe(false);
});

test('links among refs or objects are not followed', async () => {
  const box = seeded();
  const { commit } = await captureIn(box);
  mkdirSync(join(box.root, 'elsewhere'));
  symlinkSync(join(box.root, 'elsewhere'), join(box.repo, '.git/refs/heads/checkpoint'));
  await expect(publish(box, commit, null)).rejects.toMatchObject({ code: 'forbidden' });
  expect([...pictureOf(join(box.root, 'elsewhere')).keys()]).toEqual([]);
});

for (const ref of [
  'refs/heads/main',
  '--upload-pack=x',
  'refs/heads/checkpoint/a',
  'refs/heads/checkpoint/-x/y',
  'refs/heads/checkpoint/a/../b',
  'refs/heads/checkpoint/a/b.lock',
]) {
  test(`the ref ${ref} is refused`, async () => {
    const box = seeded();
    const options = {
      worktree: box.repo,
      privateDir: box.privateDir,
      policy: { roots: [box.root] },
    };
    const commit = '1'.repeat(40);
    const move = moveCheckpointRef({ ...options, ref, commit, expected: null });
    await expect(move).rejects.toMatchObject({ code: 'invalid' });
    const gone = deleteLocalRef(box.repo, options.policy, { ref, commit });
    await expect(gone).rejects.toMatchObject({ code: 'invalid' });
  });
}

function bareIn(box: Sandbox): string {
  userGit(box.root, ['init', '--quiet', '--bare', 'remote.git']);
  return join(box.root, 'remote.git');
}

test('push to a path: with a lease, without the hooks of that side', async () => {
  const box = seeded();
  const url = bareIn(box);
  for (const hook of ['pre-receive', 'update', 'post-receive', 'reference-transaction']) {
    put(url, `hooks/${hook}`, `#!/bin/sh\ntouch ${box.root}/pwned\nexit 1\n`, 0o755);
  }
  userGit(url, ['config', 'core.alternateRefsCommand', `touch ${box.root}/pwned`]);
  const base = { privateDir: box.privateDir, remote: { url, policy: { roots: [box.root] } } };
  const first = await captureIn(box);
  await pushCheckpoint({ ...base, ref: REF, commit: first.commit, expected: null });
  await pushCheckpoint({ ...base, ref: REF, commit: first.commit, expected: null });
  put(box.repo, 'a.txt', 'v2\n');
  const second = await captureIn(box, { number: 2, previous: first.commit });
  const early = pushCheckpoint({ ...base, ref: REF, commit: second.commit, expected: null });
  await expect(early).rejects.toMatchObject({ code: 'conflict' });
  await pushCheckpoint({ ...base, ref: REF, commit: second.commit, expected: first.commit });
  expect(await remoteRef(base, REF)).toBe(second.commit);
  expect(await deleteRemoteRef(base, { ref: REF, commit: first.commit })).toBe('moved');
  expect(await deleteRemoteRef(base, { ref: REF, commit: second.commit })).toBe('deleted');
  expect(await deleteRemoteRef(base, { ref: REF, commit: second.commit })).toBe('absent');
  expect(existsSync(join(box.root, 'pwned'))).toBe(false);
});

test('push over HTTP: credentials of the operator, for their host only, never in an error', async () => {
  const box = seeded();
  const bare = bareIn(box);
  userGit(bare, ['config', 'http.receivepack', 'true']);
  const { host } = await httpRemote(box.root, 'tok-sesame');
  const { commit } = await captureIn(box);
  const policy = { roots: [], protocols: ['http'] as const };
  const remote = { url: `http://someone:else@${host}/remote.git`, policy };
  const at = (password: string, for_: string) => ({
    privateDir: box.privateDir,
    remote: { ...remote, credentials: [{ host: for_, password }] },
  });
  const push = (base: ReturnType<typeof at>) =>
    pushCheckpoint({ ...base, ref: REF, commit, expected: null });
  for (const base of [at('wrong', host), at('tok-sesame', 'example.com')]) {
    const error: unknown = await push(base).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'forbidden' });
    expect(JSON.stringify(error) + String(error)).not.toMatch(/sesame|else@/);
  }
  const good = at('tok-sesame', host);
  await push(good);
  expect(gitLine(bare, 'rev-parse', REF)).toBe(commit);
  expect(await deleteRemoteRef(good, { ref: REF, commit })).toBe('deleted');
});

test('a remote that is away is a transient error', async () => {
  const box = seeded();
  const { commit } = await captureIn(box);
  const remote = {
    url: 'http://127.0.0.1:9/x.git',
    policy: { roots: [], protocols: ['http'] as const },
  };
  const push = pushCheckpoint({
    privateDir: box.privateDir,
    remote,
    ref: REF,
    commit,
    expected: null,
  });
  await expect(push).rejects.toMatchObject({ code: 'unavailable', transient: true });
});

test('URLs: only https, ssh and paths under the roots', async () => {
  const box = seeded();
  renameSync(bareIn(box), join(box.root, 'with space.git'));
  const policy = { roots: [box.root] };
  const good = [
    'https://github.com/owner/name.git',
    'https://user:pass@host:8443/a/b',
    'ssh://git@host:22/path',
    'git@github.com:owner/name.git',
    join(box.root, 'with space.git'),
    `file://${box.root}/with%20space.git`,
  ];
  for (const url of good) expect((await checkUrl(url, policy)).url).not.toContain('pass');
  const bad = [
    'ext::sh -c touch% /tmp/pwned',
    'fd::17',
    'http://host/x',
    'git://host/x',
    '-oProxyCommand=x',
    '--upload-pack=x',
    'ssh://-oProxyCommand=x/y',
    'ssh://host/-x'.replace('/-x', ':/-x'),
    'git@-host:x',
    '-user@host:x',
    'git@host:-x',
    'https://host/x y',
    'https://host/`id`',
    'https://ho;st/x',
    'relative/path',
    '../up',
    '/etc',
    'file:///etc',
    'file://host/etc',
    `${box.root}/../..`,
    '',
  ];
  for (const url of bad) await expect(checkUrl(url, policy), url).rejects.toThrow(/remote/i);
  const hosts = { ...policy, hosts: ['github.com'] };
  await expect(checkUrl('https://evil.example/x', hosts)).rejects.toMatchObject({
    code: 'invalid',
  });
  expect((await checkUrl('https://GitHub.com/x', hosts)).host).toBe('github.com');
});
