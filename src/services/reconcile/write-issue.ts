import {
  deferLabels,
  extendLabelLease,
  finishLabels,
  giveBackLabels,
  markIssueVanished,
  type TakenLabels,
} from '../../db/queries/label-queue.ts';
import {
  clearLabelFailure,
  countLabelFailure,
  failLabels,
} from '../../db/queries/repo-failures.ts';
import { ForgeError, type ForgeErrorKind } from '../forge/error.ts';
import { decide, isEmpty } from './decide.ts';
import { applyPlan, type LabelPlan } from './labels.ts';
import type { LabelWriterDeps } from './settings.ts';

export type WriteOptions = {
  signal: AbortSignal;
  /** Waits until one more request may be made. */
  turn(): Promise<void>;
};

/** `stopped`: nothing can be written with these credentials at the moment. */
export type WriteOutcome = 'done' | 'failed' | 'stopped';

/**
 * Brings the labels of one issue into line with its claim. Everything in it can be repeated: a crash
 * between two requests, or between the last and the database, is made good by the next try.
 *
 * @throws the reason of `signal`
 */
export async function writeTaken(
  deps: LabelWriterDeps,
  taken: TakenLabels,
  options: WriteOptions,
): Promise<WriteOutcome> {
  const { db, settings } = deps;
  const { row } = taken;
  const { plan, release } = decide(row, { ...settings, agentName: row.agentName });
  // A claim that is about to end is queued again when it does.
  if (release || !plan || isEmpty(plan)) {
    await finishLabels(db, taken, undefined);
    return 'done';
  }
  try {
    await request(deps, taken, plan, options);
  } catch (error) {
    if (error instanceof ForgeError) return await noteFailure(deps, taken, error);
    await giveBackLabels(db, taken);
    throw error;
  }
  await finishLabels(db, taken, applyPlan(row.labels, plan));
  await clearLabelFailure(db, row.repoId);
  return 'done';
}

async function request(
  { db, forge, settings }: LabelWriterDeps,
  { row }: TakenLabels,
  plan: LabelPlan,
  { signal, turn }: WriteOptions,
): Promise<void> {
  const next = async () => {
    await turn();
    await extendLabelLease(db, row.issueId, settings.labelLeaseSeconds);
  };
  if (plan.add.length > 0) {
    await next();
    await forge.addLabels(row, row.number, plan.add, { signal });
  }
  for (const label of plan.remove) {
    await next();
    await forge.removeLabel(row, row.number, label, { signal });
  }
}

/** What is wrong with every write of the repository, or of the credentials. */
const OF_REPOSITORY = new Set<ForgeErrorKind>([
  'missing_permission',
  'sso_required',
  'read_only',
  'issues_disabled',
  'moved',
  'misconfigured',
]);
const OF_CREDENTIALS = new Set<ForgeErrorKind>(['rate_limited', 'bad_credentials']);
/** So many issues in a row whose writes fail, and the repository is left alone for a while. */
const FAILURES_IN_A_ROW = 3;

async function noteFailure(
  deps: LabelWriterDeps,
  taken: TakenLabels,
  error: ForgeError,
): Promise<WriteOutcome> {
  const { db, settings } = deps;
  const { row } = taken;
  if (error.kind === 'gone' || (error.kind === 'moved' && !error.movedTo)) {
    await markIssueVanished(db, row.issueId);
    await finishLabels(db, taken, undefined);
    return 'done';
  }
  const failure = {
    kind: error.kind,
    text: error.message,
    retryAfterSeconds: error.retryAfterSeconds,
    backoffSeconds: settings.backoffSeconds,
    maxBackoffSeconds: settings.maxBackoffSeconds,
  };
  const ofCredentials = OF_CREDENTIALS.has(error.kind);
  if (ofCredentials || OF_REPOSITORY.has(error.kind)) {
    await failLabels(db, row.repoId, failure);
    await giveBackLabels(db, taken);
    return ofCredentials ? 'stopped' : 'failed';
  }
  // It may be this issue alone: the others of the repository go on.
  const seconds = settings.backoffSeconds * 2 ** Math.min(taken.tries, 10);
  await deferLabels(db, taken, {
    text: error.message,
    seconds: Math.min(seconds, settings.maxBackoffSeconds),
  });
  if (error.kind !== 'rejected') {
    const inARow = await countLabelFailure(db, row.repoId);
    if (inARow >= FAILURES_IN_A_ROW) await failLabels(db, row.repoId, failure);
  }
  return 'failed';
}
