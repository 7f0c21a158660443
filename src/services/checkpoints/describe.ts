import type { CapturedWork } from '../../db/queries/checkpoints.ts';
import { AppError } from '../../errors.ts';
import type { Checkpoint } from '../git/checkpoint.ts';
import { differences, EMPTY_TREE } from '../git/differences.ts';
import { patchBetween, summarizeChanges } from '../git/diff.ts';
import type { GitOptions } from '../git/git.ts';

/** Bytes of a patch that are kept for people to read. */
const MAX_DIFF_BYTES = 512 * 1024;

/** What is recorded of a checkpoint's commit, with what to tell of it. */
export type Described = { work: CapturedWork; warnings: string[] };

/**
 * Describes a checkpoint's commit, for people and for the prompt. Its changes are left out where they cannot be
 * shown, as in a partial clone that never fetched what they compare with: the work is saved all the same.
 */
export async function describeWork(
  checkpoint: Checkpoint,
  options: { gitDir: string; local: boolean; baseUrl: string | null; signal: AbortSignal },
): Promise<Described> {
  const { commit, head, index, tree, state } = checkpoint;
  const { gitDir, signal } = options;
  const where = { privateDir: gitDir, commit, signal };
  const from = head ?? EMPTY_TREE[state.objectFormat];
  const shown = await Promise.all([
    summarizeChanges({ ...where, head, index }),
    patchBetween({ ...where, from, maxBytes: MAX_DIFF_BYTES }),
  ]).catch((error: unknown) => {
    if (signal.aborted || !(error instanceof AppError)) throw error;
    return null;
  });
  const [changes, patch] = shown ?? [null, null];
  const paths = changes
    ? [...changes.staged.files, ...changes.unstaged.files].map(({ path }) => path)
    : await pathsOf(checkpoint, { gitDir, signal });
  return {
    work: {
      head,
      headBranch: state.branch,
      commit,
      tree,
      operation: state.operation,
      onRemote: state.onRemote ?? null,
      baseUrl: options.baseUrl,
      filesChanged: new Set(paths).size,
      changes,
      diff: patch?.patch ?? null,
      local: options.local,
    },
    warnings: shown ? [] : ['The changes are saved, and cannot be shown: git could not compare.'],
  };
}

/** The paths of what is staged and what is not, from the trees alone: this needs no content. */
async function pathsOf(
  { head, indexTree, tree, state: { objectFormat } }: Checkpoint,
  options: GitOptions,
): Promise<string[]> {
  const found = await Promise.all([
    differences(head, indexTree, objectFormat, options),
    differences(indexTree, tree, objectFormat, options),
  ]);
  return found.flat().map(({ path }) => path.toString('latin1'));
}
