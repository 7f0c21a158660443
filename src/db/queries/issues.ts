import { sql, type Transaction } from 'kysely';
import type { Db } from '../connect.ts';
import type { Database, IssueState } from '../schema.ts';

export type UpstreamIssue = {
  /** Used if the issue is new here. */
  id: string;
  number: number;
  url: string;
  title: string;
  state: IssueState;
  labels: string[];
  updatedAt: Date;
  closedAt: Date | null;
};

/** Labels as forges compare them. */
export const labelKeys = (labels: string[]): string[] =>
  [...new Set(labels.map((label) => label.toLowerCase()))].sort();

/**
 * Stores a page of issues in one statement. Rows that are as before are not written, and an older
 * state never replaces a newer one. Returns how many rows were written.
 */
export async function upsertIssues(
  trx: Transaction<Database>,
  repoId: string,
  issues: UpstreamIssue[],
): Promise<number> {
  if (issues.length === 0) return 0;
  const page = JSON.stringify(
    issues.map((issue) => ({ ...issue, label_keys: labelKeys(issue.labels) })),
  );
  await unsettleReopened(trx, repoId, page);
  const { rows } = await sql`
    INSERT INTO issues (id, repo_id, number, url, title, state, labels, label_keys,
      upstream_updated_at, closed_at)
    SELECT id, ${repoId}, number, url, title, state,
      ARRAY(SELECT jsonb_array_elements_text(labels)),
      ARRAY(SELECT jsonb_array_elements_text(label_keys)),
      "updatedAt", "closedAt"
    FROM jsonb_to_recordset(${page}::jsonb) AS page (
      id uuid, number integer, url text, title text, state text, labels jsonb, label_keys jsonb,
      "updatedAt" timestamptz, "closedAt" timestamptz)
    ON CONFLICT (repo_id, number) DO UPDATE SET
      url = excluded.url, title = excluded.title, state = excluded.state,
      labels = excluded.labels, label_keys = excluded.label_keys,
      upstream_updated_at = excluded.upstream_updated_at, closed_at = excluded.closed_at,
      changed_at = CASE WHEN excluded.upstream_updated_at > issues.upstream_updated_at
        THEN now() ELSE issues.changed_at END,
      vanished_at = NULL
    WHERE excluded.upstream_updated_at >= issues.upstream_updated_at
      AND (issues.url, issues.title, issues.state, issues.labels, issues.upstream_updated_at,
        issues.closed_at, issues.vanished_at)
      IS DISTINCT FROM (excluded.url, excluded.title, excluded.state, excluded.labels,
        excluded.upstream_updated_at, excluded.closed_at, NULL)
    RETURNING id`.execute(trx);
  return rows.length;
}

/**
 * Lets the labels follow where an issue is open again whose claim ended when it was closed. To be
 * called before the page is stored.
 */
async function unsettleReopened(
  trx: Transaction<Database>,
  repoId: string,
  page: string,
): Promise<void> {
  await sql`
    UPDATE issue_claims SET labels_settled_at = NULL, labels_due_at = now()
    WHERE id IN (
      SELECT last.id
      FROM jsonb_to_recordset(${page}::jsonb) AS page (
        number integer, state text, "updatedAt" timestamptz)
      JOIN issues ON issues.repo_id = ${repoId} AND issues.number = page.number
      JOIN LATERAL (
        SELECT id, release_reason FROM issue_claims WHERE issue_id = issues.id
        ORDER BY claimed_at DESC, id DESC LIMIT 1) AS last ON true
      WHERE issues.state = 'closed' AND page.state = 'open'
        AND page."updatedAt" >= issues.upstream_updated_at
        AND last.release_reason = 'issue_closed'
    )`.execute(trx);
}

/**
 * Stored issues that a whole listing did not show, neither in its noted pages nor in what was `seen`
 * since; claimed ones first, `limit` at most. With EXCEPT, as an anti-join over lists without statistics is planned
 * as nested loops: minutes for a hundred thousand issues.
 */
export async function listUnseenIssues(
  db: Db,
  repoId: string,
  seen: number[],
  limit: number,
): Promise<number[]> {
  const { rows } = await sql<{ number: number }>`
    WITH unseen AS (
      SELECT number FROM issues WHERE repo_id = ${repoId} AND vanished_at IS NULL
      EXCEPT (
        SELECT unnest(numbers) FROM sync_pages WHERE repo_id = ${repoId}
        UNION ALL SELECT unnest(${seen}::integer[])))
    SELECT number FROM unseen JOIN issues USING (number)
    LEFT JOIN issue_claims AS claim ON claim.issue_id = issues.id AND claim.released_at IS NULL
    WHERE issues.repo_id = ${repoId}
    ORDER BY claim.id IS NULL, number
    LIMIT ${limit}`.execute(db);
  return rows.map((row) => row.number);
}

export async function markVanished(
  trx: Transaction<Database>,
  repoId: string,
  numbers: number[],
): Promise<void> {
  await sql`
    UPDATE issues SET vanished_at = now()
    WHERE repo_id = ${repoId} AND number = any(${numbers}::integer[]) AND vanished_at IS NULL
  `.execute(trx);
}

/** Forgets all issues with their claims: upstream, another repository has taken the name. */
export async function deleteIssues(trx: Transaction<Database>, repoId: string): Promise<void> {
  await trx.deleteFrom('issues').where('repo_id', '=', repoId).execute();
}
