import { lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../errors.ts';
import { git } from './git.ts';
import type { Repository } from './repository.ts';

/** Where HEAD stands. `oid` is null while the branch has no commit; `branch` is null when detached. */
export type Head = { oid: string | null; branch: string | null };

/** Reads HEAD through git (refs may be packed or in a reftable); nothing of the configuration runs. */
export async function readHead(
  repository: Repository,
  signal: AbortSignal | undefined,
): Promise<Head> {
  const options = { gitDir: repository.gitDir, signal };
  const [ref, resolved] = await Promise.all([
    symbolicHead(repository, signal),
    git(['rev-parse', '--verify', '--quiet', 'HEAD'], { ...options, okCodes: [1, 128] }),
  ]);
  const oid = resolved.code === 0 ? resolved.stdout.toString('latin1').trim() : null;
  if (oid === null && ref === null) {
    throw new AppError('invalid', 'HEAD of the worktree cannot be read; run `git status` there.');
  }
  return { oid, branch: ref?.replace(/^refs\/heads\//, '') ?? null };
}

async function symbolicHead(
  repository: Repository,
  signal: AbortSignal | undefined,
): Promise<string | null> {
  const path = join(repository.gitDir, 'HEAD');
  const info = await lstat(path).catch(() => null);
  const text = info?.isFile() && info.size < 8192 ? await readFile(path, 'utf8') : '';
  if (/^[0-9a-f]{40,64}\s*$/.test(text)) return null;
  const ref = /^ref:\s*(refs\/[^\n]+?)\s*$/.exec(text)?.[1];
  // A reftable repository keeps this placeholder in the file.
  if (ref !== undefined && ref !== 'refs/heads/.invalid') return ref;
  const answer = await git(['symbolic-ref', '--quiet', 'HEAD'], {
    gitDir: repository.gitDir,
    signal,
    okCodes: [1, 128],
  });
  return answer.code === 0 ? answer.stdout.toString('utf8').trim() : null;
}
