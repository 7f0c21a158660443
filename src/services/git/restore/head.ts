import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Checkpoint } from '../checkpoint.ts';
import type { GitOptions } from '../git.ts';
import { git } from '../git.ts';
import { asText } from '../ref-list.ts';

/** Puts HEAD on its branch, as bytes, or detached; what could not be is told. */
export async function restoreHead(
  { head }: Checkpoint,
  target: Buffer | null,
  options: GitOptions,
): Promise<string[]> {
  const message = ['-m', 'restored from a checkpoint'];
  if (target !== null && (await createBranch(target, head, options))) {
    const name = asText(target);
    if (name !== null) await git(['symbolic-ref', ...message, 'HEAD', name], options);
    else await pointAt(target, options);
    return [];
  }
  if (head !== null) await git(['update-ref', '--no-deref', ...message, 'HEAD', head], options);
  return target === null ? [] : ['The branch name is not valid here; HEAD is detached.'];
}

/** Arguments are text, so the name goes through stdin, where git also checks it. */
async function createBranch(
  target: Buffer,
  head: string | null,
  options: GitOptions,
): Promise<boolean> {
  if (head === null) return isRefName(target, options);
  const stdin = Buffer.concat([Buffer.from('update '), target, Buffer.from(`\0${head}\0\0`)]);
  const args = ['update-ref', '-m', 'restored from a checkpoint', '-z', '--stdin'];
  const { code } = await git(args, { ...options, stdin, okCodes: [1, 128] });
  return code === 0;
}

async function isRefName(target: Buffer, options: GitOptions): Promise<boolean> {
  // Bytes beyond ASCII are all the same to git.
  const ascii = target.toString('latin1').replaceAll(/[\u0080-\u00ff]/g, 'x');
  const args = ['check-ref-format', ascii];
  const { code } = await git(args, { ...options, okCodes: [1] });
  return code === 0 && ascii.startsWith('refs/');
}

/** The repository is new and ours, so its HEAD is a plain file. */
async function pointAt(target: Buffer, options: GitOptions): Promise<void> {
  const file = join(options.gitDir ?? '', 'HEAD');
  await writeFile(file, Buffer.concat([Buffer.from('ref: '), target, Buffer.from('\n')]));
}
