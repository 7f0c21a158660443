import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import { type ClaimRow, readClaim } from './claims.ts';
import { labelKeys } from './issues.ts';

/**
 * Labels that are to be written upstream, one row a claim. What is to be written is worked out when a
 * row is taken; so it does not matter what else changed since it was queued, nor how often it is taken.
 */

/** Queues the labels of these claims. Those that wait already keep their place. */
export async function queueLabels(db: Db, claimIds: string[]): Promise<void> {
  if (claimIds.length === 0) return;
  await sql`
    UPDATE issue_claims SET labels_due_at = now()
    WHERE id IN (
      SELECT id FROM issue_claims
      WHERE id = any(${claimIds}::uuid[]) AND labels_settled_at IS NULL AND labels_due_at IS NULL
      ORDER BY id FOR UPDATE)`.execute(db);
}

export type TakenLabels = {
  row: ClaimRow;
  /** Whether the claim was queued again meanwhile is told by this. */
  dueAt: string;
  tries: number;
};

/**
 * Takes what waits longest, where the repository is not backing off and nobody else writes to the
 * issue. Undefined: there is nothing to write now.
 */
export async function takeLabels(db: Db, leaseSeconds: number): Promise<TakenLabels | undefined> {
  const { rows } = await sql<{ id: string; dueAt: string; tries: number }>`
    WITH next AS (
      SELECT issue_claims.id, issues.id AS issue_id, issue_claims.labels_due_at::text AS "dueAt",
        issue_claims.labels_tries AS tries
      FROM issue_claims
      JOIN issues ON issues.id = issue_claims.issue_id
      JOIN repos ON repos.id = issues.repo_id
      WHERE issue_claims.labels_due_at <= now() AND issue_claims.labels_settled_at IS NULL
        AND (issues.label_lease_until IS NULL OR issues.label_lease_until <= now())
        AND (repos.label_next_attempt_at IS NULL OR repos.label_next_attempt_at <= now())
        AND (repos.next_attempt_at IS NULL OR repos.next_attempt_at <= now())
      ORDER BY issue_claims.labels_due_at, issue_claims.id
      LIMIT 1
      FOR UPDATE OF issues, issue_claims SKIP LOCKED
    ), leased AS (
      UPDATE issues SET label_lease_until = now() + make_interval(secs => ${leaseSeconds})
      FROM next WHERE issues.id = next.issue_id
    )
    SELECT id, "dueAt", tries FROM next`.execute(db);
  const [next] = rows;
  if (!next) return undefined;
  const row = await readClaim(db, next.id);
  return row && { row, dueAt: next.dueAt, tries: next.tries };
}

/** Gives the issue back and leaves the claim in its place. */
export async function giveBackLabels(db: Db, taken: TakenLabels): Promise<void> {
  await sql`
    UPDATE issues SET label_lease_until = NULL WHERE id = ${taken.row.issueId}`.execute(db);
}

/** Notes what the issue carries upstream now, or (without `labels`) that it needed nothing. */
export async function finishLabels(
  db: Db,
  { row, dueAt }: TakenLabels,
  labels: string[] | undefined,
): Promise<void> {
  await sql`
    WITH issue AS (
      UPDATE issues SET
        label_lease_until = NULL,
        labels = coalesce(${labels ?? null}::text[], labels),
        label_keys = coalesce(${labels ? labelKeys(labels) : null}::text[], label_keys),
        labels_written_at = CASE WHEN ${labels !== undefined} THEN now() ELSE labels_written_at END
      WHERE id = ${row.issueId}
    )
    UPDATE issue_claims SET
      labels_due_at = NULL, labels_tries = 0, labels_failure = NULL,
      labels_settled_at = CASE WHEN ${row.released} THEN now() END
    WHERE id = ${row.claimId} AND labels_due_at = ${dueAt}::timestamptz
      AND (released_at IS NOT NULL) = ${row.released}`.execute(db);
}

/** Puts the claim behind the others, with why; without a failure of its own, only its issue is given back. */
export async function deferLabels(
  db: Db,
  { row }: TakenLabels,
  failure: { text: string; seconds: number },
): Promise<void> {
  await sql`
    WITH issue AS (
      UPDATE issues SET label_lease_until = NULL WHERE id = ${row.issueId}
    )
    UPDATE issue_claims SET
      labels_due_at = now() + make_interval(secs => ${failure.seconds}),
      labels_tries = labels_tries + 1, labels_failure = ${failure.text}
    WHERE id = ${row.claimId}`.execute(db);
}

/**
 * Asks for the right to make one write with the credentials; `seconds` from then on nobody else has it.
 * Returns 0, or for how many milliseconds to wait before asking again: nobody holds a place here.
 */
export async function takeWriteTurn(
  db: Db,
  turn: { credential: string; seconds: number },
): Promise<number> {
  const { rows } = await sql<{ taken: boolean; waitMs: number }>`
    WITH taken AS (
      INSERT INTO forge_turns (credential, next_write_at)
      VALUES (${turn.credential}, now() + make_interval(secs => ${turn.seconds}))
      ON CONFLICT (credential) DO UPDATE SET next_write_at = excluded.next_write_at
        WHERE forge_turns.next_write_at <= now()
      RETURNING credential
    )
    SELECT EXISTS (SELECT FROM taken) AS taken, coalesce(ceil(1000 * extract(epoch FROM (
      SELECT next_write_at - now() FROM forge_turns WHERE credential = ${turn.credential}))), 0)::float
      AS "waitMs"`.execute(db);
  if (rows[0]?.taken !== false) return 0;
  return Math.max(1, rows[0].waitMs);
}

/** Holds the issue for longer. */
export async function extendLabelLease(
  db: Db,
  issueId: string,
  leaseSeconds: number,
): Promise<void> {
  await sql`
    UPDATE issues SET label_lease_until = now() + make_interval(secs => ${leaseSeconds})
    WHERE id = ${issueId}`.execute(db);
}

export type LabelState = {
  claimId: string;
  url: string;
  owner: string;
  name: string;
  number: number;
  /** Whether they are still to be written. */
  due: boolean;
  /** Whether somebody may write them now. */
  waits: boolean;
  labelsWrittenAt: Date | null;
  /** Why the last try failed, if it did. */
  failure: string | null;
  /** The same for its repository, while that backs off. */
  repoFailure: string | null;
};

export async function readLabelStates(db: Db, claimIds: string[]): Promise<LabelState[]> {
  const { rows } = await sql<LabelState>`
    SELECT issue_claims.id AS "claimId", issues.url, repos.owner, repos.name, issues.number,
      issue_claims.labels_due_at IS NOT NULL AND issue_claims.labels_settled_at IS NULL AS due,
      coalesce(issue_claims.labels_due_at <= now()
        AND (repos.label_next_attempt_at IS NULL OR repos.label_next_attempt_at <= now())
        AND (repos.next_attempt_at IS NULL OR repos.next_attempt_at <= now()), false) AS waits,
      issues.labels_written_at AS "labelsWrittenAt", issue_claims.labels_failure AS failure,
      CASE WHEN repos.label_next_attempt_at > now() THEN repos.label_failure_text END
        AS "repoFailure"
    FROM issue_claims
    JOIN issues ON issues.id = issue_claims.issue_id
    JOIN repos ON repos.id = issues.repo_id
    WHERE issue_claims.id = any(${claimIds}::uuid[])
    ORDER BY repos.owner, repos.name, issues.number`.execute(db);
  return rows;
}

/** Notes that upstream no longer has the issue, whose labels then need no writing. */
export async function markIssueVanished(db: Db, issueId: string): Promise<void> {
  await sql`
    UPDATE issues SET vanished_at = coalesce(vanished_at, now()), label_lease_until = NULL
    WHERE id = ${issueId}`.execute(db);
}
