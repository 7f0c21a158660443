import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../../errors.ts';
import type { Checkpoint } from '../checkpoint.ts';
import { readObjects, STATE } from '../checkpoint.ts';
import type { GitOptions } from '../git.ts';
import { git, gitText, splitNul } from '../git.ts';
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
      await mkdir(absolute(options.workTree ?? '', folder), { recursive: true }).catch(() => {});
    }
  }
}

export function infoFile(options: GitOptions, name: string): string {
  return join(options.gitDir ?? '', 'info', name);
}

/**
 * Reads all files back and compares the tree that they make with the checkpoint's: the fingerprint. Any
 * difference, also a file too many, refuses the restore.
 */
export async function verifyFiles(checkpoint: Checkpoint, options: GitOptions): Promise<void> {
  await git(['add', '--all', '--force', '.'], { ...options, cwd: options.workTree ?? '' });
  const found = await gitText(['write-tree'], options);
  if (found === checkpoint.tree) return;
  const { stdout } = await git(
    ['diff-tree', '-r', '-z', '--name-only', '--no-renames', checkpoint.tree, found],
    options,
  );
  throw new AppError(
    'conflict',
    `The restored files do not match the checkpoint: fingerprint ${found}, expected ${checkpoint.tree}, ${splitNul(stdout).length} paths differ. Nothing was put in place; restore again.`,
  );
}
