import { type ClaimRow, settleClaims } from '../../db/queries/claims.ts';
import {
  leaseIssueLabels,
  markIssueVanished,
  unleaseIssueLabels,
} from '../../db/queries/issue-labels.ts';
import { clearLabelFailure, failLabels } from '../../db/queries/repo-failures.ts';
import { ForgeError } from '../forge/error.ts';
import { applyPlan, type LabelPlan } from './labels.ts';
import type { ReconcileDeps } from './settings.ts';

/** What is to be written for one claim, whose row is as it was read. */
export type LabelWrite = { row: ClaimRow; released: boolean; plan: LabelPlan };

export type WriteOutcome =
  /** `busy`: another pass writes this issue or changed the claim. `gone`: the issue is no more. */
  { kind: 'written' | 'busy' | 'gone' } | { kind: 'failed'; error: ForgeError };

/**
 * Carries out one plan. Everything in it can be repeated: a crash between two requests, or between
 * the last and the database, is made good by the next pass.
 *
 * @throws the reason of `signal`
 */
export async function writeIssue(
  deps: ReconcileDeps,
  write: LabelWrite,
  signal: AbortSignal,
): Promise<WriteOutcome> {
  const { db, settings } = deps;
  const { row, released } = write;
  const { issueId, claimId, labelsWrittenAt } = row;
  const decided = { issueId, claimId, released, labelsWrittenAt };
  const leaseSeconds = settings.labelLeaseSeconds;
  if (!(await leaseIssueLabels(db, { ...decided, leaseSeconds }))) return { kind: 'busy' };
  try {
    await request(deps, write, signal);
  } catch (error) {
    if (error instanceof ForgeError) return await noteFailure(deps, row, error);
    await unleaseIssueLabels(db, issueId, {});
    throw error;
  }
  await unleaseIssueLabels(db, issueId, { labels: applyPlan(row.labels, write.plan) });
  if (released) await settleClaims(db, [claimId]);
  if (row.labelFailureText !== null) await clearLabelFailure(db, row.repoId);
  return { kind: 'written' };
}

async function request({ forge }: ReconcileDeps, write: LabelWrite, signal: AbortSignal) {
  const { row, plan } = write;
  if (plan.add.length > 0) await forge.addLabels(row, row.number, plan.add, { signal });
  for (const label of plan.remove) await forge.removeLabel(row, row.number, label, { signal });
}

async function noteFailure(
  { db, settings }: ReconcileDeps,
  row: ClaimRow,
  error: ForgeError,
): Promise<WriteOutcome> {
  const issueIsGone = error.kind === 'gone' || (error.kind === 'moved' && !error.movedTo);
  // What upstream rejects is wrong with this one write: others of the repository may go on.
  const itsOwn = error.kind === 'rejected';
  const blocked = itsOwn ? { blockedSeconds: settings.maxBackoffSeconds } : {};
  await unleaseIssueLabels(db, row.issueId, blocked);
  if (issueIsGone) {
    await markIssueVanished(db, row.issueId);
    return { kind: 'gone' };
  }
  if (!itsOwn) {
    await failLabels(db, row.repoId, {
      kind: error.kind,
      text: error.message,
      retryAfterSeconds: error.retryAfterSeconds,
      backoffSeconds: settings.backoffSeconds,
      maxBackoffSeconds: settings.maxBackoffSeconds,
    });
  }
  return { kind: 'failed', error };
}
