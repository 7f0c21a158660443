import type { CapturedWork } from '../../db/queries/checkpoints.ts';
import type { Checkpoint } from '../git/checkpoint.ts';
import { EMPTY_TREE } from '../git/differences.ts';
import { patchBetween, summarizeChanges } from '../git/diff.ts';

/** Bytes of a patch that are kept for people to read. */
const MAX_DIFF_BYTES = 512 * 1024;

/** What is recorded of a checkpoint's commit: for people, and for the prompt. */
export async function describeWork(
  checkpoint: Checkpoint,
  options: { gitDir: string; local: boolean; baseUrl: string | null; signal: AbortSignal },
): Promise<CapturedWork> {
  const { commit, head, index, state } = checkpoint;
  const where = { privateDir: options.gitDir, commit, signal: options.signal };
  const from = head ?? EMPTY_TREE[state.objectFormat];
  const [changes, { patch }] = await Promise.all([
    summarizeChanges({ ...where, head, index }),
    patchBetween({ ...where, from, maxBytes: MAX_DIFF_BYTES }),
  ]);
  const paths = [...changes.staged.files, ...changes.unstaged.files].map(({ path }) => path);
  return {
    head,
    headBranch: state.branch,
    commit,
    tree: checkpoint.tree,
    operation: state.operation,
    onRemote: state.onRemote ?? null,
    baseUrl: options.baseUrl,
    filesChanged: new Set(paths).size,
    changes,
    diff: patch,
    local: options.local,
  };
}
