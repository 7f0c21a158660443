import { copyFile, lstat, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Checkpoint } from '../checkpoint.ts';
import type { GitOptions } from '../git.ts';
import { git, gitText } from '../git.ts';
import type { Repository } from '../repository.ts';

type Ref = { name: string; oid: string; symref: string };

/** Refs of other worktrees' operations, and checkpoints: they belong to the source alone. */
const LEFT_OUT = /^refs\/(?:heads\/checkpoint|bisect|worktree|rewritten)\//;

/**
 * Gives the new repository the source's branches, tags, remote branches and stash, and puts the
 * checkpoint's branch and HEAD where they stood. (In a repository of its own no branch is checked
 * out elsewhere, so the agent goes on where it was.)
 */
export async function restoreRefs(
  checkpoint: Checkpoint,
  source: Repository | null,
  options: GitOptions,
): Promise<string[]> {
  const { head, state } = checkpoint;
  const refs = source ? await listRefs(source, options.signal) : [];
  const branch = state.branch === null ? null : `refs/heads/${state.branch}`;
  const wanted = refs.filter((ref) => !LEFT_OUT.test(ref.name) && ref.name !== branch);
  const missing = await createRefs(wanted, options);
  if (source) await copyStashLog(source, options);
  const message = ['-m', 'restored from a checkpoint'];
  if (branch !== null && (await isBranchName(branch, options))) {
    if (head !== null) await git(['update-ref', ...message, branch, head], options);
    await git(['symbolic-ref', ...message, 'HEAD', branch], options);
    return missing;
  }
  if (head !== null) await git(['update-ref', '--no-deref', ...message, 'HEAD', head], options);
  const odd = branch === null ? [] : ['The branch name is not valid here; HEAD is detached.'];
  return [...missing, ...odd];
}

async function isBranchName(ref: string, options: GitOptions): Promise<boolean> {
  const { code } = await git(['check-ref-format', ref], { ...options, okCodes: [1] });
  return code === 0;
}

async function listRefs(source: Repository, signal: AbortSignal | undefined): Promise<Ref[]> {
  const format = '%(objectname) %(refname) %(symref)';
  const text = await gitText(['for-each-ref', `--format=${format}`], {
    gitDir: source.gitDir,
    signal,
  });
  return text.split('\n').flatMap((line) => {
    const [oid, name, symref = ''] = line.split(' ');
    return oid && name ? [{ name, oid, symref }] : [];
  });
}

/** Creates what can be created; a ref whose object is missing would fail all of them. */
async function createRefs(refs: Ref[], options: GitOptions): Promise<string[]> {
  if (refs.length === 0) return [];
  const { stdout } = await git(['cat-file', '--batch-check=%(objectname)'], {
    ...options,
    stdin: refs.map((ref) => `${ref.oid}\n`).join(''),
  });
  const found = stdout.toString('latin1').split('\n');
  const present = refs.filter((_, n) => !(found[n] ?? 'missing').endsWith('missing'));
  const plain = present.filter((ref) => ref.symref === '');
  const stdin = plain.map((ref) => `create ${ref.name}\0${ref.oid}\0`).join('');
  await git(['update-ref', '-z', '--stdin'], { ...options, stdin });
  for (const { name, symref } of present) {
    if (symref.startsWith('refs/')) await git(['symbolic-ref', name, symref], options);
  }
  return present.length === refs.length ? [] : ['Refs whose objects are missing were left out.'];
}

/** Stash entries but the newest live in its reflog alone. */
async function copyStashLog(source: Repository, options: GitOptions): Promise<void> {
  const from = join(source.commonDir, 'logs', 'refs', 'stash');
  const info = await lstat(from).catch(() => null);
  if (!info?.isFile()) return;
  const to = join(options.gitDir ?? '', 'logs', 'refs', 'stash');
  await mkdir(dirname(to), { recursive: true });
  await copyFile(from, to);
}
