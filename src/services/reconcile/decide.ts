import type { ClaimRow } from '../../db/queries/claims.ts';
import {
  carries,
  carriesClaim,
  type LabelGoal,
  type LabelNames,
  type LabelPlan,
  planLabels,
} from './labels.ts';

export type ReleaseReason =
  'issue_closed' | 'issue_gone' | 'labels_removed' | 'repo_untracked' | 'no_live_session';

export type Decision = {
  row: ClaimRow;
  /** Why the claim ends; undefined where it stays, or has ended before. */
  release?: ReleaseReason;
  /** What the labels upstream are to become; undefined where they are to be left alone. */
  plan?: LabelPlan;
};

export type Rules = { agentName: string; labels: LabelNames; graceSeconds: number };

/** What is to become of one claim of the agent. Pure: the same row and rules, the same decision. */
export function decide(row: ClaimRow, rules: Rules): Decision {
  const release = row.released ? undefined : reasonToRelease(row, rules);
  const decision: Decision = release ? { row, release } : { row };
  const goal = goalOf(row, release, rules.labels);
  if (!goal) return decision;
  return { ...decision, plan: planLabels(row.labels, goal, rules.labels, rules.agentName) };
}

function reasonToRelease(row: ClaimRow, rules: Rules): ReleaseReason | undefined {
  if (row.vanished) return 'issue_gone';
  if (row.state === 'closed') return 'issue_closed';
  if (row.source === 'label' && !row.tracked) return 'repo_untracked';
  if (row.source === 'label' && lostItsLabels(row, rules)) return 'labels_removed';
  return isStale(row, rules) ? 'no_live_session' : undefined;
}

/** A sync that began after our own last write tells that someone took the labels away. */
function lostItsLabels(row: ClaimRow, { labels, agentName }: Rules): boolean {
  const confirmed =
    row.labelsWrittenAt === null ||
    (row.passStartedAt !== null && row.labelsWrittenAt < row.passStartedAt);
  return confirmed && !carriesClaim(row.labels, labels, agentName);
}

function isStale(row: ClaimRow, { graceSeconds }: Rules): boolean {
  if (row.live) return false;
  const graceMs = graceSeconds * 1000;
  if (row.source === 'session') return row.now.getTime() - row.claimedAt.getTime() > graceMs;
  // While syncs fail, silence upstream proves nothing: it counts up to the last whole sync only.
  if (row.passStartedAt === null) return false;
  const lastSign = Math.max(row.claimedAt.getTime(), row.changedAt.getTime());
  return row.passStartedAt.getTime() - lastSign > graceMs;
}

function goalOf(
  row: ClaimRow,
  release: ReleaseReason | undefined,
  labels: LabelNames,
): LabelGoal | undefined {
  // Who took the labels away, or the repository, has said what the issue is to carry.
  if (row.vanished || release === 'labels_removed' || release === 'repo_untracked')
    return undefined;
  if (row.state === 'closed') return 'done';
  if (!row.released && !release) return 'in_progress';
  if (row.released && row.heldBy !== null) return afterTakeover(row);
  return row.releaseReason === 'issue_closed' ? afterReopening(row, labels) : 'ready';
}

/** The issue was claimed anew since: its status is the new claim's, and so is the agent's label. */
const afterTakeover = (row: ClaimRow): LabelGoal | undefined =>
  row.heldBy === row.agentId ? undefined : 'unclaimed';

/** The claim ended with the issue, which was opened again since. */
function afterReopening(row: ClaimRow, labels: LabelNames): LabelGoal | undefined {
  if (carries(row.labels, labels.done)) return 'reopened';
  // Once our labels had followed, whatever it carries now is somebody's wish.
  const followed =
    row.labelsWrittenAt !== null && row.releasedAt !== null && row.labelsWrittenAt > row.releasedAt;
  return followed ? undefined : 'ready';
}

export const isEmpty = ({ add, remove }: LabelPlan): boolean =>
  add.length === 0 && remove.length === 0;
