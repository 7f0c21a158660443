import type { CapturedWork } from '../../db/queries/checkpoints.ts';
import { AppError } from '../../errors.ts';
import type { Checkpoint } from '../git/checkpoint.ts';
import { differences, EMPTY_TREE } from '../git/differences.ts';
import { patchBetween, summarizeChanges } from '../git/diff.ts';

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
  const { commit, head, index, indexTree, tree, state } = checkpoint;
  const { gitDir, signal } = options;
  const where = { privateDir: gitDir, commit, signal };
  const from = head ?? EMPTY_TREE[state.objectFormat];
  const inGit = { gitDir, signal };
  const [staged, unstaged, shown] = await Promise.all([
    differences(head, indexTree, state.objectFormat, inGit),
    differences(indexTree, tree, state.objectFormat, inGit),
    Promise.all([
      summarizeChanges({ ...where, head, index }),
      patchBetween({ ...where, from, maxBytes: MAX_DIFF_BYTES }),
    ]).catch((error: unknown) => {
      if (signal.aborted || !(error instanceof AppError)) throw error;
      return null;
    }),
  ]);
  const paths = [...staged, ...unstaged].map(({ path }) => path.toString('latin1'));
  const [changes, patch] = shown ?? [null, null];
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
