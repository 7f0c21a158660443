import type { Remote } from './config.ts';
import type { OperationKind } from './operation.ts';
import type { ObjectFormat } from './private-dir.ts';
import type { RepositoryPolicy } from './repository.ts';
import type { NotCaptured, SizeCaps } from './vet.ts';

/** Points between the steps of a capture, in order. Nothing is written to the source at any of them. */
export const CAPTURE_STAGES = [
  'prepared',
  'copied',
  'seeded',
  'scanned',
  'hashed',
  'indexed',
  'committed',
  'kept',
] as const;
export type CaptureStage = (typeof CAPTURE_STAGES)[number];

export type CaptureOptions = {
  /** Absolute path of the top of a worktree. */
  worktree: string;
  /** The session's private git directory; created when absent, kept between checkpoints. */
  privateDir: string;
  agentName: string;
  sessionId: string;
  /** 1 for the first checkpoint of the session. */
  number: number;
  /** Commit of the session's last checkpoint. */
  previous: string | null;
  policy: RepositoryPolicy;
  caps?: Partial<SizeCaps>;
  /** Milliseconds for the whole capture. */
  deadlineMs?: number;
  /** Age in milliseconds from which left-overs of killed captures are removed. */
  staleMs?: number;
  /** Bytes that must be free where the private directory lies. */
  minFreeBytes?: number;
  signal?: AbortSignal;
  /** Share of plain captures whose restore is rehearsed, 0 to 1; those that met anything unusual always are. */
  rehearsalRate?: number;
  /** The time written into the commits. */
  now: Date;
  onStage?: (stage: CaptureStage) => void | Promise<void>;
};

export type Capture = {
  /** Commit that HEAD stood at; null on a branch without commits. */
  head: string | null;
  /** Null when HEAD is detached. */
  branch: string | null;
  /** The checkpoint: a new commit, or `previous` when nothing changed. */
  commit: string;
  /** Fingerprint of the worktree. */
  tree: string;
  indexTree: string;
  changed: boolean;
  /** Paths that differ from HEAD, without those that only git's conversions make differ. */
  filesChanged: number;
  notCaptured: NotCaptured[];
  warnings: string[];
  /** What was under way in the worktree. */
  operation: OperationKind | null;
  base: BaseInfo;
};

export type BaseInfo = {
  objectFormat: ObjectFormat;
  shallow: boolean;
  /** URLs come without credentials. */
  remotes: Remote[];
  upstream: { remote: string; merge: string } | null;
  /** A remote-tracking branch has HEAD; undefined: that could not be found out. */
  onRemote?: boolean | undefined;
};

export const DEFAULT_CAPS: SizeCaps = {
  maxFileBytes: 50 * 1024 * 1024,
  maxTotalBytes: 500 * 1024 * 1024,
};
export const DEFAULT_DEADLINE_MS = 120_000;
export const DEFAULT_MIN_FREE_BYTES = 256 * 1024 * 1024;
