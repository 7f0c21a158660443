import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { capture } from '../../../src/services/git/capture.ts';
import type { Capture, CaptureOptions } from '../../../src/services/git/capture-types.ts';
import { restore } from '../../../src/services/git/restore/restore.ts';
import type { Restored, RestoreOptions } from '../../../src/services/git/restore/types.ts';

export const AGENT = 'builder';
export const SESSION = '0199f0f0-0000-7000-8000-000000000001';
export const NOW = new Date('2026-11-21T12:00:00Z');

/** The user's own git: configured, with hooks and filters as that user has them. */
export function userGit(cwd: string, args: readonly string[], input?: Buffer | string): Buffer {
  return execFileSync('git', [...args], {
    cwd,
    ...(input === undefined ? {} : { input }),
    stdio: ['pipe', 'pipe', 'pipe'],
    maxBuffer: 256 * 1024 * 1024,
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: '/nonexistent',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_AUTHOR_NAME: 'User',
      GIT_AUTHOR_EMAIL: 'user@example.com',
      GIT_COMMITTER_NAME: 'User',
      GIT_COMMITTER_EMAIL: 'user@example.com',
      GIT_EDITOR: 'true',
    },
  });
}

export const gitLine = (cwd: string, ...args: string[]): string =>
  userGit(cwd, args).toString('utf8').trim();

/** `git status` without its side effect of refreshing the index. */
export const statusOf = (cwd: string): string =>
  userGit(cwd, ['--no-optional-locks', 'status', '--porcelain=v2', '-z', '--untracked-files=all'])
    .toString('latin1')
    .replaceAll('\0', '\n');

export type Sandbox = { root: string; repo: string; privateDir: string };

/** A scratch folder with an empty repository in `repo`; removed after the test. */
export function sandbox(init: readonly string[] = []): Sandbox {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'defib-git-')));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  return sandboxIn(root, init);
}

export function sandboxIn(root: string, init: readonly string[] = []): Sandbox {
  const repo = join(root, 'repo');
  mkdirSync(repo);
  userGit(repo, ['init', '--quiet', '-b', 'main', ...init]);
  return { root, repo, privateDir: join(root, 'private', 'session') };
}

export function put(folder: string, path: string, content: string | Buffer, mode = 0o644): void {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content, { mode });
}

export function commitAll(repo: string, message = 'commit'): string {
  userGit(repo, ['add', '-A']);
  userGit(repo, ['commit', '--quiet', '--allow-empty', '-m', message]);
  return gitLine(repo, 'rev-parse', 'HEAD');
}

/** A repository with one commit of a few files. */
export function seeded(init: readonly string[] = []): Sandbox {
  const box = sandbox(init);
  put(box.repo, 'a.txt', 'one\n');
  put(box.repo, 'dir/b.txt', 'two\n');
  put(box.repo, 'run.sh', '#!/bin/sh\n', 0o755);
  commitAll(box.repo);
  return box;
}

export function captureIn(box: Sandbox, over: Partial<CaptureOptions> = {}): Promise<Capture> {
  return capture({
    worktree: box.repo,
    privateDir: box.privateDir,
    agentName: AGENT,
    sessionId: SESSION,
    number: 1,
    previous: null,
    policy: { roots: [box.root] },
    minFreeBytes: 0,
    now: NOW,
    ...over,
  });
}

/** Git on the private directory, as a reader of the checkpoint. */
export const privateGit = (box: Sandbox, ...args: string[]): Buffer =>
  userGit(box.root, ['--git-dir', box.privateDir, ...args]);

export const showFile = (box: Sandbox, commit: string, path: string): Buffer =>
  privateGit(box, 'cat-file', 'blob', `${commit}:${path}`);

export const namesIn = (box: Sandbox, commit: string): string[] =>
  privateGit(box, 'ls-tree', '-r', '--name-only', '-z', commit)
    .toString('utf8')
    .split('\0')
    .filter((name) => name !== '');

/**
 * Everything below a folder: kind, mode, content, and for files the times. Two equal pictures mean that
 * nothing was written, created, removed or touched. Access times and folder times are left out.
 */
export function pictureOf(folder: string, times = true): Map<string, string> {
  const picture = new Map<string, string>();
  const visit = (path: Buffer): void => {
    for (const name of readdirSync(path, { encoding: 'buffer' })) {
      const full = Buffer.concat([path, Buffer.from('/'), name]);
      const info = lstatSync(full, { bigint: true });
      const key = full.subarray(folder.length + 1).toString('latin1');
      const stamp = times && !info.isDirectory() ? `${info.mtimeNs} ${info.ino}` : '';
      let content = '';
      if (info.isSymbolicLink()) content = readlinkSync(full, 'latin1');
      else if (info.isFile()) content = digest(readFileSync(full));
      picture.set(key, `${info.mode.toString(8)} ${stamp} ${content}`);
      if (info.isDirectory()) visit(full);
    }
  };
  visit(Buffer.from(folder));
  return picture;
}

function digest(content: Buffer): string {
  return createHash('sha1').update(content).digest('hex');
}

export function restoreFrom(
  box: Sandbox,
  commit: string,
  over: Partial<RestoreOptions> = {},
): Promise<Restored> {
  return restore({
    target: join(box.root, 'restored'),
    commit,
    from: { worktree: box.repo, privateDir: box.privateDir },
    policy: { roots: [box.root] },
    ...over,
  });
}

/**
 * Waits until the clock shows another second. Git compares times in seconds, and capture reads every file
 * again that changed in the second of the last look: what is to be believed must be older.
 */
export async function nextSecond(): Promise<void> {
  const left = 1000 - (Date.now() % 1000);
  await new Promise((resolve) => setTimeout(resolve, left + 25));
}

/** The files of a worktree without its repository: kinds, exec bits, contents. */
export function filesOf(worktree: string): Map<string, string> {
  const files = new Map<string, string>();
  for (const [path, value] of pictureOf(worktree, false)) {
    if (/(?:^|\/)\.git(?:\/|$)/.test(path)) continue;
    const [mode = '', ...rest] = value.split(' ');
    const kind = mode.slice(0, -3);
    const exec = kind === '100' && (Number.parseInt(mode, 8) & 0o100) !== 0 ? 'x' : '';
    files.set(path, [kind + exec, ...rest].join(' '));
  }
  return files;
}

/** What git says about a worktree, in full: status, staged and unstaged difference, stages, HEAD. */
export function standOf(worktree: string): Record<string, string> {
  const ask = (...args: string[]): string =>
    userGit(worktree, ['--no-optional-locks', ...args]).toString('latin1');
  return {
    status: statusOf(worktree),
    staged: ask('diff', '--cached', '--binary', '--no-renames'),
    stages: ask('ls-files', '--stage', '-v', '-z'),
    head: ask('for-each-ref', '--format=%(HEAD) %(refname)', 'refs/heads/main', 'refs/heads/side'),
    branch: ask('branch', '--show-current'),
  };
}
