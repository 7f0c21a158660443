import type { Db } from '../../db/connect.ts';
import type { Log } from '../../log.ts';
import type { Forge } from '../forge/forge.ts';
import type { LabelWriter } from './label-writer.ts';
import type { LabelNames } from './labels.ts';

export type ReconcileSettings = {
  labels: LabelNames;
  /** How long a claim without a live session is left alone. */
  graceSeconds: number;
  /** Time from one write to the next, of all processes together; GitHub allows 80 a minute. */
  writeIntervalMs: number;
  /** Longest that a heartbeat waits for its labels to be written. */
  writeBudgetMs: number;
  /** How long a writer that died keeps others from the labels of its issue. */
  labelLeaseSeconds: number;
  /** First wait after a failure to write; each further one in a row doubles it. */
  backoffSeconds: number;
  maxBackoffSeconds: number;
};

export const defaultReconcileSettings: ReconcileSettings = {
  labels: {
    inProgress: 'status/in-progress',
    ready: 'status/ready',
    done: 'status/done',
    agentPrefix: 'agent/',
  },
  graceSeconds: 3600,
  writeIntervalMs: 1000,
  writeBudgetMs: 3000,
  labelLeaseSeconds: 60,
  backoffSeconds: 30,
  maxBackoffSeconds: 300,
};

export type LabelWriterDeps = { db: Db; forge: Forge; log: Log; settings: ReconcileSettings };

export type ReconcileDeps = LabelWriterDeps & { writer: LabelWriter };
