import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { once } from 'node:events';
import { AppError } from '../../errors.ts';
import { readBundleHeader } from './bundle-header.ts';
import type { GitOptions } from './git.ts';
import { git, gitFailed, gitText, streamGit } from './git.ts';
import { requireCheckpointRef, requireOid } from './names.ts';
import type { RepositoryPolicy } from './repository.ts';
import { locateRepository } from './repository.ts';

export type BundleOptions = {
  privateDir: string;
  ref: string;
  commit: string;
  /** File to write; it appears only when it is complete. */
  file: string;
  /** Commits that the receiver has. Unknown ones are left out. None: the bundle holds all history. */
  haves: readonly string[];
  maxBytes: number;
  signal?: AbortSignal;
};

export type Bundle = {
  file: string;
  bytes: number;
  /** Commits that the receiver must have. */
  prerequisites: string[];
};

/**
 * Writes a bundle of everything that belongs to the checkpoint and that `haves` do not reach. Null when
 * nothing is left to send. `too_large` when it would pass the cap; nothing is left on disk then.
 */
export async function createBundle(options: BundleOptions): Promise<Bundle | null> {
  const ref = requireCheckpointRef(options.ref);
  const commit = requireOid('The checkpoint', options.commit);
  const repo: GitOptions = { gitDir: options.privateDir, signal: options.signal };
  const haves = await knownCommits(options.haves, repo);
  if (haves.includes(commit)) return null;
  await git(['update-ref', '--no-deref', ref, commit], repo);
  const part = `${options.file}.part`;
  try {
    const bytes = await stream(ref, haves, part, options, repo);
    const { prerequisites } = await readBundleHeader(part);
    await rename(part, options.file);
    return { file: options.file, bytes, prerequisites };
  } finally {
    await rm(part, { force: true });
  }
}

async function stream(
  ref: string,
  haves: string[],
  file: string,
  options: BundleOptions,
  repo: GitOptions,
): Promise<number> {
  const out = createWriteStream(file, { mode: 0o600 });
  let bytes = 0;
  const args = ['bundle', 'create', '--quiet', '-', '--stdin'];
  const stdin = [ref, ...haves.map((oid) => `^${oid}`), ''].join('\n');
  try {
    const { code, stderr } = await streamGit(args, { ...repo, stdin }, async (chunk) => {
      bytes += chunk.length;
      if (bytes > options.maxBytes) return false;
      if (!out.write(chunk)) await once(out, 'drain');
      return true;
    });
    if (bytes > options.maxBytes) throw tooLarge(options.maxBytes);
    if (code !== 0) throw gitFailed(args, code, stderr);
  } finally {
    out.end();
    await once(out, 'close');
  }
  return bytes;
}

function tooLarge(maxBytes: number): AppError {
  return new AppError(
    'too_large',
    `The bundle passes the limit of ${maxBytes} bytes; push the base branch to a remote, or raise the limit.`,
  );
}

async function knownCommits(oids: readonly string[], repo: GitOptions): Promise<string[]> {
  const wanted = [...new Set(oids.map((oid) => requireOid('A commit of the receiver', oid)))];
  if (wanted.length === 0) return [];
  const { stdout } = await git(['cat-file', '--batch-check=%(objectname) %(objecttype)'], {
    ...repo,
    stdin: `${wanted.join('\n')}\n`,
  });
  const lines = stdout.toString('latin1').split('\n');
  return lines.flatMap((line) => (line.endsWith(' commit') ? [line.split(' ')[0] ?? ''] : []));
}

/**
 * What a remote is known to have: the remote branches that the worktree's repository recorded when it
 * last talked to it. Empty when there is no such remote.
 */
export async function remoteHaves(
  worktree: string,
  remote: string,
  policy: RepositoryPolicy,
  signal?: AbortSignal,
): Promise<string[]> {
  if (!/^[A-Za-z0-9][A-Za-z0-9._/-]*$/.test(remote) || remote.includes('..')) {
    throw new AppError('invalid', 'The name of the remote is not valid.');
  }
  const repository = await locateRepository(worktree, policy);
  const text = await gitText(
    ['for-each-ref', '--format=%(objectname)', `refs/remotes/${remote}/`],
    {
      gitDir: repository.gitDir,
      signal,
    },
  );
  return [...new Set(text.split('\n').filter((line) => line !== ''))];
}
