import type { Checkpoint } from '../checkpoint.ts';
import { readObjects, STATE } from '../checkpoint.ts';
import type { GitOptions } from '../git.ts';
import { git, splitNul } from '../git.ts';
import { mark, nulTerminated } from '../stage.ts';
import { restoreUndo } from './resolve-undo.ts';
import { markIntentToAdd } from './intent-to-add.ts';

/**
 * Turns the index that describes the files into the one the user had: the staged tree, the stages of
 * conflicts, and the flags that no tree can hold. Entries that are equal in both keep their stat data.
 */
export async function restoreIndex(checkpoint: Checkpoint, options: GitOptions): Promise<string[]> {
  const { indexTree, stateCommit } = checkpoint;
  const names = [STATE.unmerged, STATE.undo, STATE.flags].map((name) => `${stateCommit}:${name}`);
  const [unmerged, undo, flags] = await readObjects(names, options);
  await git(['read-tree', '-i', '-m', indexTree], options);
  if (unmerged) await restoreStages(unmerged, options);
  if (undo) await restoreUndo(undo, options);
  return flags ? restoreFlags(flags, options) : [];
}

async function restoreStages(records: Buffer, options: GitOptions): Promise<void> {
  const paths = splitNul(records).map((record) => record.subarray(record.indexOf(0x09) + 1));
  await git(['update-index', '--force-remove', '-z', '--stdin'], {
    ...options,
    stdin: nulTerminated(paths),
  });
  await git(['update-index', '-z', '--index-info'], { ...options, stdin: records });
}

async function restoreFlags(flags: Buffer, options: GitOptions): Promise<string[]> {
  const byLetter = (letter: string): Buffer[] =>
    splitNul(flags).flatMap((r) => (r.toString('latin1', 0, 1) === letter ? [r.subarray(2)] : []));
  const planned = { paths: byLetter('n'), programs: byLetter('x'), links: byLetter('l') };
  const added = await markIntentToAdd(planned, options);
  await mark('--assume-unchanged', byLetter('a'), options);
  await mark('--skip-worktree', byLetter('s'), options);
  return added ? [] : ['Some files marked with `git add --intent-to-add` are untracked now.'];
}
