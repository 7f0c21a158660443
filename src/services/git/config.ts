import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { git } from './git.ts';
import type { ObjectFormat } from './private-dir.ts';
import type { Repository } from './repository.ts';

/** What capture and restore want to know of the user's configuration. Read as data, includes off. */
export type RepositoryConfig = {
  /** Last value of each key, in git's canonical spelling. */
  values: ReadonlyMap<string, string>;
  entries: readonly (readonly [key: string, value: string])[];
  objectFormat: ObjectFormat;
  filters: boolean;
  /** False when git stops at a line that makes no sense: then this is what stands before it. */
  readable: boolean;
};

/** Lists the repository's own configuration. `git config --file` only parses: nothing in it takes effect. */
export async function readConfig(
  repository: Repository,
  signal: AbortSignal | undefined,
): Promise<RepositoryConfig> {
  const files = [join(repository.commonDir, 'config'), join(repository.gitDir, 'config.worktree')];
  const lists = await Promise.all(files.map((file) => listCached(file, signal)));
  const entries = lists.flatMap((list) => list.entries);
  const readable = lists.every((list) => list.readable);
  const values = new Map(entries);
  return {
    values,
    entries,
    objectFormat: values.get('extensions.objectformat') === 'sha256' ? 'sha256' : 'sha1',
    filters: !readable || entries.some(([key]) => key.startsWith('filter.')),
    readable,
  };
}

type Listed = { entries: readonly (readonly [string, string])[]; readable: boolean };

/*
 * A configuration that did not change is not parsed again: that saves a child process per capture. What
 * counts as a change includes the inode and the time of change, which no program can set.
 */
const parsed = new Map<string, { key: string; listed: Listed }>();
const MAX_PARSED = 1000;

async function listCached(file: string, signal: AbortSignal | undefined): Promise<Listed> {
  const info = await stat(file, { bigint: true }).catch(() => null);
  if (!info) return { entries: [], readable: true };
  const key = [info.dev, info.ino, info.size, info.mtimeNs, info.ctimeNs].join(':');
  const known = parsed.get(file);
  if (known?.key === key) return known.listed;
  const listed = await listConfig(file, signal);
  // The kernel's clock for files is coarse: what was written just now may be written again unnoticed.
  const settled = BigInt(Date.now()) * 1_000_000n - info.ctimeNs > 1_000_000_000n;
  if (parsed.size >= MAX_PARSED) parsed.clear();
  if (settled) parsed.set(file, { key, listed });
  return listed;
}

async function listConfig(file: string, signal: AbortSignal | undefined): Promise<Listed> {
  const list = ['config', '--file', file, '--no-includes', '--list', '-z'];
  const { code, stdout } = await git(list, {
    cwd: '/',
    signal,
    maxStdout: 4 * 1024 * 1024,
    okCodes: [1, 128],
  });
  const entries = stdout
    .toString('utf8')
    .split('\0')
    .filter((record) => record !== '')
    .map((record): [string, string] => {
      const at = record.indexOf('\n');
      return at < 0 ? [record, 'true'] : [record.slice(0, at), record.slice(at + 1)];
    });
  return { entries, readable: code === 0 };
}

/** Settings by which git reads a worktree: without them, it would call files changed that nobody touched. */
export const READING =
  /^core\.(?:filemode|symlinks|autocrlf|eol|ignorecase|precomposeunicode|checkroundtripencoding)$/;

/** Those settings, where the repository has them. */
export function readingOf(config: RepositoryConfig): Record<string, string> {
  return Object.fromEntries([...config.values].filter(([key]) => READING.test(key)).sort());
}

export type Remote = { name: string; url: string };

/** Remotes with their URLs, without user names, passwords or tokens that someone put into them. */
export function remotesOf(config: RepositoryConfig): Remote[] {
  const remotes: Remote[] = [];
  for (const [key, value] of config.values) {
    const name = /^remote\.(.+)\.url$/s.exec(key)?.[1];
    if (name !== undefined) remotes.push({ name, url: withoutCredentials(value) });
  }
  return remotes.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Drops `user:password@` from an http(s) URL; `git@host:` of ssh is an account, not a secret, and stays. */
export function withoutCredentials(url: string): string {
  return url.replace(/^(https?:\/\/)[^/@]*@/i, '$1');
}
