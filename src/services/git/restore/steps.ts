import { AppError } from '../../../errors.ts';
import type { Checkpoint } from '../checkpoint.ts';
import { readCheckpoint } from '../checkpoint.ts';
import type { GitOptions } from '../git.ts';
import type { Repository } from '../repository.ts';
import { requireConnected } from '../unpack-bundle.ts';
import { readTrees, verifyFiles, writeFiles } from './files.ts';
import { finish } from './finish.ts';
import { restoreIndex } from './staged.ts';
import type { RestoreStage } from './types.ts';

export type StepsOptions = {
  /** False tries everything but the files of the worktree: what a rehearsal does. */
  files: boolean;
  at?: (stage: RestoreStage) => void | Promise<void>;
};

/**
 * All that a restore does in a repository that has the objects. A capture rehearses the very same steps, so what
 * it calls saved cannot fail here for a reason that it could have known.
 */
export async function restoreSteps(
  commit: string,
  source: Repository | null,
  git: GitOptions,
  { files, at }: StepsOptions,
): Promise<{ checkpoint: Checkpoint; warnings: string[] }> {
  const checkpoint = await findCheckpoint(commit, git);
  await requireConnected(checkpoint, checkpoint.head === null ? [] : [checkpoint.head], git);
  await at?.('objects');
  await readTrees(checkpoint, git);
  if (files) {
    await writeFiles(checkpoint, git);
    await at?.('files');
    await verifyFiles(checkpoint, git);
    await at?.('verified');
  }
  const flags = await restoreIndex(checkpoint, git);
  await at?.('index');
  const warnings = await finish(checkpoint, source, git);
  await at?.('finished');
  return { checkpoint, warnings: [...flags, ...warnings] };
}

async function findCheckpoint(commit: string, git: GitOptions): Promise<Checkpoint> {
  const checkpoint = await readCheckpoint(commit, git);
  if (checkpoint) return checkpoint;
  throw new AppError('not_found', 'The checkpoint is in none of the places it was looked for.');
}
