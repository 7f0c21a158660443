import { lstat, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../../errors.ts';
import type { Checkpoint } from '../checkpoint.ts';
import { readObjects, STATE } from '../checkpoint.ts';
import type { GitOptions } from '../git.ts';
import { git, splitNul } from '../git.ts';
import { missingOids } from '../differences.ts';
import { GITLINK, readIndex } from '../index-file.ts';
import { displayPath } from '../names.ts';
import { absolute } from '../vet.ts';
import { mark } from '../stage.ts';

/** Reads the checkpoint's tree into the empty index, with marks on what the worktree leaves out. */
export async function readTrees(checkpoint: Checkpoint, options: GitOptions): Promise<void> {
  const { tree, stateCommit, state } = checkpoint;
  const names = [STATE.absent, STATE.sparse].map((n) => `${stateCommit}:${n}`);
  const [absent, patterns] = await readObjects(names, options);
  if (state.sparse && patterns) await writeFile(infoFile(options, 'sparse-checkout'), patterns);
  // With -m the sparse patterns decide what is left out; without, they are not looked at.
  await git(['read-tree', ...(state.sparse && !absent ? ['-m'] : []), tree], options);
  if (absent) {
    await mark('--skip-worktree', splitNul(absent), options);
  }
  await requireTree(checkpoint, options);
  await requireContents(checkpoint, options);
}

async function requireTree(checkpoint: Checkpoint, options: GitOptions): Promise<void> {
  // Compared: to write the tree again would renew the times of objects that are linked with the source.
  const compare = ['diff-index', '--cached', '--quiet', '--no-renames', '--ignore-submodules=none'];
  const args = [...compare, checkpoint.tree];
  const { code } = await git(args, { ...options, okCodes: [1] });
  if (code === 0) return;
  throw new AppError(
    'conflict',
    `The index does not have the fingerprint ${checkpoint.tree} of the checkpoint. Nothing was put in place.`,
  );
}

/** Whether the content of every file that is to be written is at hand. */
async function requireContents({ commit }: Checkpoint, options: GitOptions): Promise<void> {
  const buffer = await readFile(options.indexFile ?? '').catch(() => null);
  if (!buffer) return;
  const { entries } = await readIndex(buffer, commit.length / 2);
  const files = entries.filter((entry) => !entry.skipWorktree && entry.mode !== GITLINK);
  // Asked of what is here: git would give up at the first that a remote promised.
  const config = (options.config ?? []).filter(([name]) => !name.startsWith('remote.'));
  const missing = new Set(
    await missingOids(
      files.map(({ oid }) => oid),
      { ...options, config },
    ),
  );
  const first = files.find(({ oid }) => missing.has(oid));
  if (!first) return;
  throw new AppError(
    'conflict',
    `The contents of ${missing.size} files are nowhere at hand (the first: ${displayPath(first.path)}). Nothing was put in place; take another checkpoint, or bring back the repository that has them.`,
  );
}

/** Writes the files of the index into an empty worktree, byte for byte (`options` turn conversions off). */
export async function writeFiles(checkpoint: Checkpoint, options: GitOptions): Promise<void> {
  const [emptyFolders] = await readObjects(
    [`${checkpoint.stateCommit}:${STATE.emptyFolders}`],
    options,
  );
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
 * Reads all files back: every entry of the index, which makes the checkpoint's tree, must have the hash of
 * its file, and no file may be without an entry. Nothing is written: adding the files anew would renew the times of
 * objects that are linked with the source.
 */
export async function verifyFiles(checkpoint: Checkpoint, options: GitOptions): Promise<void> {
  await git(['update-index', '-q', '--refresh'], { ...options, okCodes: [1] });
  const ask = async (...args: string[]): Promise<Buffer[]> =>
    splitNul((await git([...args, '-z'], { ...options, cwd: options.workTree ?? '' })).stdout);
  const wrong = [
    ...(await ask('diff-files', '--name-only', '--ignore-submodules=all')),
    ...(await ask('ls-files', '--others')),
  ];
  const [first] = wrong;
  if (first === undefined) return;
  throw new AppError(
    'conflict',
    `The restored files do not have the fingerprint ${checkpoint.tree} of the checkpoint: ${wrong.length} paths differ (the first: ${displayPath(first)}). Nothing was put in place; restore again.`,
  );
}
