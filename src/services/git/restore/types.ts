import type { CheckpointState } from '../checkpoint.ts';
import type { RepositoryPolicy } from '../repository.ts';

export const RESTORE_STAGES = [
  'begun',
  'objects',
  'files',
  'verified',
  'index',
  'finished',
] as const;
export type RestoreStage = (typeof RESTORE_STAGES)[number];

export type RestoreOptions = {
  /** Absolute path of the new worktree: it must not exist, or be an empty folder, below the roots. */
  target: string;
  /** The checkpoint to restore. */
  commit: string;
  /** Where its objects are: any of these, at least one. */
  from: {
    /** The worktree that was captured, where it still exists. Its branches and remotes are taken too. */
    worktree?: string;
    /** The session's private git directory. */
    privateDir?: string;
    /** A bundle, and a repository (bare or not) that holds what the bundle builds on. */
    bundle?: string;
    base?: string;
  };
  policy: RepositoryPolicy;
  /** Bytes that a bundle may have. */
  maxBundleBytes?: number;
  deadlineMs?: number;
  /** Age in milliseconds from which the left-over of a killed restore is removed. Default: an hour. */
  staleMs?: number;
  signal?: AbortSignal;
  /** Called with the folder that is being filled; it moves to `target` at the very end. */
  onStage?: (stage: RestoreStage, folder: string) => void | Promise<void>;
};

export type Restored = {
  worktree: string;
  head: string | null;
  branch: string | null;
  /** The fingerprint, computed again from the restored files. */
  tree: string;
  operation: CheckpointState['operation'];
  warnings: string[];
};
