import {
  appendFileSync,
  copyFileSync,
  existsSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createBundle, remoteHaves } from '../../../src/services/git/bundle.ts';
import { checkpointRef } from '../../../src/services/git/names.ts';
import { verifyBundle } from '../../../src/services/git/verify-bundle.ts';
import type { VerifyOptions } from '../../../src/services/git/verify-bundle.ts';
import {
  AGENT,
  captureIn,
  commitAll,
  filesOf,
  gitLine,
  privateGit,
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
const MAX = 10_000_000;

const bundle = (box: Sandbox, commit: string, haves: string[] = [], maxBytes = MAX) =>
  createBundle({
    privateDir: box.privateDir,
    ref: REF,
    commit,
    file: join(box.root, 'saved.bundle'),
    haves,
    maxBytes,
  });

const verify = (box: Sandbox, commit: string, over: Partial<VerifyOptions> = {}) =>
  verifyBundle({
    file: join(box.root, 'saved.bundle'),
    ref: REF,
    commit,
    maxBytes: MAX,
    maxUnpackedBytes: MAX,
    scratch: box.root,
    ...over,
  });

/** A worktree with work in all states, whose base is on the remote. */
function pushed(): Sandbox {
  const box = seeded();
  userGit(box.root, ['init', '--quiet', '--bare', 'origin.git']);
  userGit(box.repo, ['remote', 'add', 'origin', join(box.root, 'origin.git')]);
  userGit(box.repo, ['push', '--quiet', '-u', 'origin', 'main']);
  put(box.repo, 'unpushed.txt', 'unpushed\n');
  commitAll(box.repo, 'unpushed');
  put(box.repo, 'a.txt', 'staged\n');
  userGit(box.repo, ['add', 'a.txt']);
  put(box.repo, 'a.txt', 'unstaged\n');
  put(box.repo, 'new.txt', 'new\n');
  return box;
}

test('a bundle of what the remote lacks restores elsewhere, from the remote alone', async () => {
  const box = pushed();
  const saved = await captureIn(box);
  const policy = { roots: [box.root] };
  const haves = await remoteHaves(box.repo, 'origin', policy);
  const made = await bundle(box, saved.commit, haves);
  expect(made?.prerequisites).toEqual(haves);
  const base = join(box.root, 'origin.git');
  const verified = await verify(box, saved.commit, { base: { path: base, roots: [box.root] } });
  expect(verified.checkpoint.tree).toBe(saved.tree);
  expect(readdirSync(box.root).filter((name) => name.startsWith('quarantine'))).toEqual([]);

  const stand = standOf(box.repo);
  const files = filesOf(box.repo);
  rmSync(box.repo, { recursive: true });
  rmSync(box.privateDir, { recursive: true });
  const from = { bundle: join(box.root, 'saved.bundle'), base };
  const { worktree } = await restoreFrom(box, saved.commit, { from });
  expect(filesOf(worktree)).toEqual(files);
  expect(standOf(worktree)).toEqual(stand);
  expect(gitLine(worktree, 'log', '--format=%s')).toBe('unpushed\ncommit');
  expect(gitLine(worktree, 'remote', 'get-url', 'origin')).toBe(base);
});

test('without a remote the bundle holds everything; a SHA-256 repository too', async () => {
  for (const init of [[], ['--object-format=sha256']]) {
    const box = seeded(init);
    put(box.repo, 'a.txt', 'changed\n');
    const saved = await captureIn(box);
    expect(await remoteHaves(box.repo, 'origin', { roots: [box.root] })).toEqual([]);
    const made = await bundle(box, saved.commit);
    expect(made?.prerequisites).toEqual([]);
    await verify(box, saved.commit);
    const from = { bundle: join(box.root, 'saved.bundle') };
    const { worktree } = await restoreFrom(box, saved.commit, { from });
    expect(filesOf(worktree)).toEqual(filesOf(box.repo));
    expect(standOf(worktree)).toEqual(standOf(box.repo));
  }
});

test('an unborn HEAD and a shallow clone without remote branches can be bundled and restored', async () => {
  const unborn = sandbox();
  put(unborn.repo, 'first.txt', 'first\n');
  const shallow = seeded();
  commitAll(shallow.repo, 'second');
  renameSync(shallow.repo, join(shallow.root, 'full'));
  const source = `file://${shallow.root}/full`;
  userGit(shallow.root, ['clone', '--quiet', '--depth=1', source, 'repo']);
  put(shallow.repo, 'a.txt', 'changed\n');
  for (const box of [unborn, shallow]) {
    const saved = await captureIn(box);
    await bundle(box, saved.commit);
    await verify(box, saved.commit);
    const from = { bundle: join(box.root, 'saved.bundle') };
    const { worktree } = await restoreFrom(box, saved.commit, { from });
    expect(filesOf(worktree)).toEqual(filesOf(box.repo));
    expect(standOf(worktree)['staged']).toEqual(standOf(box.repo)['staged']);
  }
});

test('over the cap nothing is left; when the receiver has the checkpoint nothing is sent', async () => {
  const box = pushed();
  const { commit } = await captureIn(box);
  await expect(bundle(box, commit, [], 500)).rejects.toMatchObject({ code: 'too_large' });
  expect(readdirSync(box.root).filter((name) => name.includes('bundle'))).toEqual([]);
  expect(await bundle(box, commit, [commit])).toBeNull();
});

test('a bundle that is too large, packed or unpacked, is refused', async () => {
  const box = seeded();
  put(box.repo, 'zeros.bin', Buffer.alloc(3_000_000));
  const { commit } = await captureIn(box);
  await bundle(box, commit);
  await expect(verify(box, commit, { maxBytes: 100 })).rejects.toMatchObject({ code: 'too_large' });
  const bomb = verify(box, commit, { maxUnpackedBytes: 1_000_000 });
  await expect(bomb).rejects.toMatchObject({ code: 'too_large' });
});

test('a truncated, damaged or foreign file is refused', async () => {
  const box = seeded();
  const { commit } = await captureIn(box);
  await bundle(box, commit);
  const file = join(box.root, 'saved.bundle');
  const whole = readFileSync(file);
  const spoil: ((bytes: Buffer) => Buffer)[] = [
    (bytes) => bytes.subarray(0, bytes.length - 30),
    (bytes) => bytes.subarray(0, 40),
    () => Buffer.alloc(0),
    (bytes) => Buffer.from(bytes).fill(0x41, bytes.length - 200, bytes.length - 100),
    (bytes) => Buffer.concat([Buffer.from('not a bundle\n'), bytes]),
    () => Buffer.from(`# v2 git bundle\n-nonsense\n\nPACK`),
  ];
  for (const change of spoil) {
    writeFileSync(file, change(whole));
    await expect(verify(box, commit)).rejects.toMatchObject({ code: 'invalid' });
  }
  expect(readdirSync(box.root).filter((name) => name.startsWith('quarantine'))).toEqual([]);
  appendFileSync(file, 'x');
  truncateSync(file, 0);
});

test('an extra ref, another ref, a ref like an option, another commit: refused', async () => {
  const box = seeded();
  const { commit, head } = await captureIn(box);
  const file = join(box.root, 'saved.bundle');
  await bundle(box, commit);
  await expect(verify(box, head ?? '')).rejects.toMatchObject({ code: 'invalid' });
  privateGit(box, 'update-ref', 'refs/heads/extra', commit);
  privateGit(box, 'bundle', 'create', '-q', file, REF, 'refs/heads/extra');
  await expect(verify(box, commit)).rejects.toThrow(/exactly the announced ref/);
  privateGit(box, 'bundle', 'create', '-q', file, 'refs/heads/extra');
  await expect(verify(box, commit)).rejects.toThrow(/exactly the announced ref/);
  const option = `# v2 git bundle\n${commit} --upload-pack=touch\n\n`;
  writeFileSync(file, option);
  await expect(verify(box, commit)).rejects.toThrow(/exactly the announced ref/);
  await expect(verify(box, commit, { ref: '--upload-pack=touch' })).rejects.toMatchObject({
    code: 'invalid',
  });
});

test('a bundle for another repository, or one that is no checkpoint, is refused', async () => {
  const box = pushed();
  const { commit, head } = await captureIn(box);
  const haves = await remoteHaves(box.repo, 'origin', { roots: [box.root] });
  await bundle(box, commit, haves);
  const other = sandbox();
  put(other.repo, 'other.txt', 'other\n');
  commitAll(other.repo, 'another history');
  copyFileSync(join(box.root, 'saved.bundle'), join(other.root, 'saved.bundle'));
  const base = { path: other.repo, roots: [other.root] };
  await expect(verify(other, commit, { base })).rejects.toThrow();
  await expect(verify(other, commit)).rejects.toThrow();
  privateGit(box, 'update-ref', REF, head ?? '');
  privateGit(box, 'bundle', 'create', '-q', join(box.root, 'saved.bundle'), REF);
  await expect(verify(box, head ?? '')).rejects.toThrow(/not a checkpoint/);
  expect(existsSync(join(other.root, 'restored'))).toBe(false);
});

test('objects that git calls dangerous are refused: a tree with ".git" in it', async () => {
  const box = seeded();
  const { commit } = await captureIn(box);
  const blob = userGit(
    box.root,
    ['--git-dir', box.privateDir, 'hash-object', '-w', '--stdin'],
    'x',
  );
  const oid = Buffer.from(blob.toString().trim(), 'hex');
  const body = Buffer.concat([Buffer.from('100644 .git\0'), oid]);
  const hash = ['--git-dir', box.privateDir, 'hash-object', '-w', '--literally', '-t'];
  const tree = userGit(box.root, [...hash, 'tree', '--stdin'], body)
    .toString()
    .trim();
  const text = privateGit(box, 'cat-file', 'commit', commit).toString();
  const evil = text.replace(/^tree .*/, `tree ${tree}`);
  const top = userGit(box.root, [...hash, 'commit', '--stdin'], evil)
    .toString()
    .trim();
  await bundle(box, top);
  await expect(verify(box, top)).rejects.toMatchObject({ code: 'invalid' });
  const from = { bundle: join(box.root, 'saved.bundle') };
  await expect(restoreFrom(box, top, { from })).rejects.toThrow();
});
