import { mkdir, rename, rm } from 'node:fs/promises';
import { createHash, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { AppError } from '../../errors.ts';
import { git, type GitOptions } from './git.ts';
import { requireOid } from './names.ts';
import { unreachable } from './push.ts';
import { accessTo, checkUrl, type Credentials, type UrlPolicy } from './url.ts';

export type MirrorOptions = {
  /** Folder of all mirrors. */
  folder: string;
  remote: { url: string; policy: UrlPolicy; credentials: readonly Credentials[] };
  /** The commits that are needed, with everything they reach. */
  commits: readonly string[];
  timeoutMs?: number;
  signal?: AbortSignal;
};

/**
 * A bare repository of ours with commits of a remote: what thin bundles build on. Kept, so that only
 * what is new is fetched. Returns its path.
 *
 * @throws AppError `invalid` (the URL, or the remote lacks a commit), `forbidden` (credentials),
 *   `unavailable` (transient)
 */
export async function fetchBase(options: MirrorOptions): Promise<string> {
  const commits = options.commits.map((oid) => requireOid('A commit of the remote', oid));
  const target = await checkUrl(options.remote.url, options.remote.policy);
  // What was fetched with credentials is not for whoever may only come without.
  const access = accessTo(target, options.remote.credentials);
  const key = JSON.stringify([target.url, access]);
  const name = createHash('sha256').update(key).digest('hex').slice(0, 32);
  const path = join(options.folder, `${name}.git`);
  const format = commits[0]?.length === 64 ? 'sha256' : 'sha1';
  await ensureBare(path, format, options.signal);
  const repo: GitOptions = { gitDir: path, signal: options.signal };
  const missing = await missingCommits(commits, repo);
  if (missing.length === 0) return path;
  const { config, env } = access;
  const args = ['fetch', '--quiet', '--no-tags', '--no-write-fetch-head', '--no-auto-maintenance'];
  const fetched = { ...repo, env, config, timeoutMs: options.timeoutMs ?? 300_000 };
  const refspecs = ['+refs/heads/*:refs/remotes/origin/*'];
  const branches = await git([...args, target.url, ...refspecs], { ...fetched, okCodes: [1, 128] });
  if (branches.code !== 0) throw unreachable(branches, 'The remote');
  const rest = await missingCommits(commits, repo);
  if (rest.length > 0) {
    // No branch leads to them any more; many servers give them by name all the same.
    await git([...args, target.url, ...rest.map((oid) => `${oid}:refs/kept/${oid}`)], {
      ...fetched,
      okCodes: [1, 128],
    });
  }
  const [lacking] = await missingCommits(commits, repo);
  if (lacking === undefined) return path;
  throw new AppError(
    'invalid',
    `The bundle builds on commit ${lacking}, which ${target.url} does not have. Send a bundle that holds it.`,
  );
}

/** Made aside and moved into place, so that nobody ever finds half of one. */
async function ensureBare(
  path: string,
  format: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const made = `${path}.${randomUUID()}`;
  await mkdir(made, { recursive: true, mode: 0o700 });
  try {
    await git(['init', '--quiet', '--bare', '--template=', `--object-format=${format}`, made], {
      cwd: made,
      signal,
    });
    await rename(made, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(made, { recursive: true, force: true });
  }
}

async function missingCommits(commits: readonly string[], repo: GitOptions): Promise<string[]> {
  if (commits.length === 0) return [];
  const { stdout } = await git(['cat-file', '--batch-check=%(objecttype)'], {
    ...repo,
    stdin: commits.map((oid) => `${oid}\n`).join(''),
  });
  const types = stdout.toString('latin1').split('\n');
  return commits.filter((_, index) => types[index] !== 'commit');
}
