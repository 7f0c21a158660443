import { lstat, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../../errors.ts';
import type { Checkpoint } from '../checkpoint.ts';
import { readObjects, STATE } from '../checkpoint.ts';
import type { GitOptions } from '../git.ts';
import { git, gitText, splitNul } from '../git.ts';
import { displayPath } from '../names.ts';
import { absolute } from '../vet.ts';

/** Writes the checkpoint's files into an empty worktree, byte for byte (`options` turn conversions off). */
export async function writeFiles(checkpoint: Checkpoint, options: GitOptions): Promise<void> {
  const { tree, stateCommit, state } = checkpoint;
  const names = [STATE.absent, STATE.emptyFolders, STATE.sparse].map((n) => `${stateCommit}:${n}`);
  const [absent, emptyFolders, patterns] = await readObjects(names, options);
  if (state.sparse && patterns) await writeFile(infoFile(options, 'sparse-checkout'), patterns);
  // With -m the sparse patterns decide what is left out; without, they are not looked at.
  await git(['read-tree', ...(state.sparse && !absent ? ['-m'] : []), tree], options);
  if (absent) {
    await git(['update-index', '--skip-worktree', '-z', '--stdin'], { ...options, stdin: absent });
  }
  await git(['checkout-index', '--all', '--quiet'], options);
  for (const folder of splitNul(emptyFolders ?? Buffer.alloc(0))) {
    if (!/(?:^|\/)\.\.?(?:\/|$)|^\/|(?:^|\/)\.git(?:\/|$)/i.test(folder.toString('latin1'))) {
      await makeFolder(options.workTree ?? '', folder);
    }
  }
}

const SLASH = 0x2f;

/**
 * Makes an empty folder, and those above it, unless something else is in its place. Never through a link: the
 * tree may hold one that leads out of the worktree.
 */
async function makeFolder(worktree: string, folder: Buffer): Promise<void> {
  for (let end = 0; end < folder.length;) {
    const slash = folder.indexOf(SLASH, end + 1);
    end = slash < 0 ? folder.length : slash;
    const path = absolute(worktree, folder.subarray(0, end));
    await mkdir(path).catch(() => {});
    const info = await lstat(path).catch(() => null);
    if (!info?.isDirectory()) return;
  }
}

export function infoFile(options: GitOptions, name: string): string {
  return join(options.gitDir ?? '', 'info', name);
}

/**
 * Reads all files back and computes the fingerprint again: every entry of the index must have the hash of
 * its file, no file may be without an entry, and the index must make the checkpoint's tree. Nothing is
 * written: adding the files anew would renew the times of objects that are linked with the source.
 */
export async function verifyFiles(checkpoint: Checkpoint, options: GitOptions): Promise<void> {
  await git(['update-index', '-q', '--refresh'], { ...options, okCodes: [1] });
  const ask = async (...args: string[]): Promise<Buffer[]> =>
    splitNul((await git([...args, '-z'], { ...options, cwd: options.workTree ?? '' })).stdout);
  const wrong = [
    ...(await ask('diff-files', '--name-only', '--ignore-submodules=all')),
    ...(await ask('ls-files', '--others')),
  ];
  const found = await gitText(['write-tree'], options);
  const [first] = wrong;
  if (first === undefined && found === checkpoint.tree) return;
  const which = first === undefined ? '' : ` (the first: ${displayPath(first)})`;
  throw new AppError(
    'conflict',
    `The restored files do not have the fingerprint ${checkpoint.tree} of the checkpoint: ${wrong.length} paths differ${which}. Nothing was put in place; restore again.`,
  );
}
