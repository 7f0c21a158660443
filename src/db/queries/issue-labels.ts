import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import { labelKeys } from './issues.ts';

/**
 * Writing labels upstream, one writer to an issue at a time. What is to be written was decided
 * from rows that may have changed since; the lease is refused if the claim did.
 */
export async function leaseIssueLabels(
  db: Db,
  options: {
    issueId: string;
    claimId: string;
    released: boolean;
    /** As read, in whole milliseconds: whoever wrote since has done what was decided. */
    labelsWrittenAt: Date | null;
    leaseSeconds: number;
  },
): Promise<boolean> {
  const { rows } = await sql`
    UPDATE issues SET label_lease_until = now() + make_interval(secs => ${options.leaseSeconds})
    FROM issue_claims
    WHERE issues.id = ${options.issueId} AND issue_claims.id = ${options.claimId}
      AND issue_claims.issue_id = issues.id
      AND (issue_claims.released_at IS NOT NULL) = ${options.released}
      AND issue_claims.labels_settled_at IS NULL
      AND date_trunc('milliseconds', issues.labels_written_at)
        IS NOT DISTINCT FROM ${options.labelsWrittenAt}::timestamptz
      AND (issues.label_lease_until IS NULL OR issues.label_lease_until <= now())
    RETURNING issues.id`.execute(db);
  return rows.length === 1;
}

/**
 * Gives the lease back, or keeps others from trying for `blockedSeconds`; with `labels`, notes
 * what the issue carries upstream now.
 */
export async function unleaseIssueLabels(
  db: Db,
  issueId: string,
  { labels, blockedSeconds }: { labels?: string[]; blockedSeconds?: number },
): Promise<void> {
  const until =
    blockedSeconds === undefined
      ? sql<null>`NULL`
      : sql<Date>`now() + make_interval(secs => ${blockedSeconds})`;
  await db
    .updateTable('issues')
    .set({
      label_lease_until: until,
      ...(labels && {
        labels,
        label_keys: labelKeys(labels),
        labels_written_at: sql<Date>`now()`,
      }),
    })
    .where('id', '=', issueId)
    .execute();
}

/** Notes that upstream no longer has the issue. */
export async function markIssueVanished(db: Db, issueId: string): Promise<void> {
  await db
    .updateTable('issues')
    .set({ vanished_at: sql<Date>`now()` })
    .where('id', '=', issueId)
    .where('vanished_at', 'is', null)
    .execute();
}
