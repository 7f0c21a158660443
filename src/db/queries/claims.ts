import { sql, type Transaction } from 'kysely';
import type { Db } from '../connect.ts';
import type { ClaimSource, Database, IssueState } from '../schema.ts';

/**
 * Whether a session holds the claim `issue_claims`: one that is live, or one that ended and is to
 * be resumed. While its agent is paused it is not, so its claim ends with the grace.
 */
const hasLiveSession = sql<boolean>`EXISTS (
  SELECT FROM sessions JOIN agents ON agents.id = sessions.agent_id
  WHERE sessions.id = issue_claims.session_id
    AND (sessions.ended_at IS NULL OR (sessions.resume_at IS NOT NULL AND NOT agents.paused)))`;

export type ClaimRow = {
  claimId: string;
  agentId: string;
  agentName: string;
  issueId: string;
  repoId: string;
  owner: string;
  name: string;
  number: number;
  url: string;
  state: IssueState;
  labels: string[];
  vanished: boolean;
  source: ClaimSource;
  /** Whether the agent still tracks the repository. */
  tracked: boolean;
  released: boolean;
  releaseReason: string | null;
  releasedAt: Date | null;
  live: boolean;
  /** The id of the agent that holds the issue by an open claim, be it this one or another. */
  heldBy: string | null;
  /** When it was claimed, or when the session that claimed it ended. */
  claimedAt: Date;
  /** When a change upstream was last seen. */
  changedAt: Date;
  /** When the last whole sync of the repository began. */
  passStartedAt: Date | null;
  labelsWrittenAt: Date | null;
  /** The database's clock at the reading. */
  now: Date;
};

const claimColumns = sql`
  issue_claims.id AS "claimId", issue_claims.agent_id AS "agentId", owner.name AS "agentName",
  issues.id AS "issueId", repos.id AS "repoId",
  repos.owner, repos.name, issues.number, issues.url, issues.state, issues.labels,
  issues.vanished_at IS NOT NULL AS vanished, issue_claims.source,
  agent_repos.repo_id IS NOT NULL AS tracked,
  issue_claims.released_at IS NOT NULL AS released,
  issue_claims.release_reason AS "releaseReason", issue_claims.released_at AS "releasedAt",
  ${hasLiveSession} AS live, holder.agent_id AS "heldBy",
  greatest(issue_claims.claimed_at,
    (SELECT ended_at FROM sessions WHERE sessions.id = issue_claims.session_id)
  ) AS "claimedAt", issues.changed_at AS "changedAt",
  repos.pass_started_at AS "passStartedAt", issues.labels_written_at AS "labelsWrittenAt",
  now() AS now`;

const claimJoins = sql`
  issue_claims
  JOIN agents AS owner ON owner.id = issue_claims.agent_id
  JOIN issues ON issues.id = issue_claims.issue_id
  JOIN repos ON repos.id = issues.repo_id
  LEFT JOIN agent_repos
    ON agent_repos.repo_id = repos.id AND agent_repos.agent_id = issue_claims.agent_id
  LEFT JOIN issue_claims AS holder
    ON holder.issue_id = issues.id AND holder.released_at IS NULL`;

/** What there is to look after for an agent: its open claims, and labels that lag behind. */
export async function listClaims(db: Db, agentId: string): Promise<ClaimRow[]> {
  const { rows } = await sql<ClaimRow>`
    SELECT ${claimColumns} FROM ${claimJoins}
    WHERE issue_claims.agent_id = ${agentId} AND issue_claims.labels_settled_at IS NULL
    ORDER BY repos.owner, repos.name, issues.number, issue_claims.id`.execute(db);
  return rows;
}

export async function readClaim(db: Db, claimId: string): Promise<ClaimRow | undefined> {
  const { rows } = await sql<ClaimRow>`
    SELECT ${claimColumns} FROM ${claimJoins} WHERE issue_claims.id = ${claimId}`.execute(db);
  return rows[0];
}

/**
 * Claims of any agent that may have to end: the issue is closed or gone, or no session has held it for
 * the grace. In order of their ids, those behind `after`.
 */
export async function listEndingClaims(
  db: Db,
  options: { graceSeconds: number; after: string | null; limit: number },
): Promise<ClaimRow[]> {
  const { rows } = await sql<ClaimRow>`
    SELECT ${claimColumns} FROM ${claimJoins}
    WHERE issue_claims.released_at IS NULL
      AND (${options.after}::uuid IS NULL OR issue_claims.id > ${options.after}::uuid)
      AND (issues.state = 'closed' OR issues.vanished_at IS NOT NULL
        OR (issue_claims.claimed_at < now() - make_interval(secs => ${options.graceSeconds})
          AND NOT ${hasLiveSession}))
    ORDER BY issue_claims.id
    LIMIT ${options.limit}`.execute(db);
  return rows;
}

export type Adoptable = { issueId: string; url: string };

/**
 * Open issues of the agent's repositories that carry all of these labels (in lower case), are
 * claimed by nobody, and whose labels a sync has confirmed since we last wrote them.
 */
export async function listAdoptable(
  db: Db,
  options: { agentId: string; labelKeys: string[] },
): Promise<Adoptable[]> {
  const { rows } = await sql<Adoptable>`
    SELECT issues.id AS "issueId", issues.url
    FROM issues
    JOIN repos ON repos.id = issues.repo_id
    JOIN agent_repos ON agent_repos.repo_id = repos.id AND agent_repos.agent_id = ${options.agentId}
    WHERE issues.state = 'open' AND issues.vanished_at IS NULL
      AND issues.label_keys @> ${options.labelKeys}::text[]
      AND (issues.labels_written_at IS NULL OR issues.labels_written_at < repos.pass_started_at)
      AND NOT EXISTS (
        SELECT FROM issue_claims
        WHERE issue_claims.issue_id = issues.id AND issue_claims.labels_settled_at IS NULL)
    ORDER BY repos.owner, repos.name, issues.number`.execute(db);
  return rows;
}

export type NewClaim = { id: string; issueId: string; agentId: string };

/** Records claims that were found as labels. Returns the issues that were really free. */
export async function adoptClaims(db: Db, claims: NewClaim[]): Promise<string[]> {
  if (claims.length === 0) return [];
  const rows = await db
    .insertInto('issue_claims')
    .values(
      claims.map(({ id, issueId, agentId }) => ({
        id,
        issue_id: issueId,
        agent_id: agentId,
        source: 'label' as const,
      })),
    )
    .onConflict((conflict) => conflict.doNothing())
    .returning('issue_id')
    .execute();
  return rows.map((row) => row.issue_id);
}

export type Release = {
  claimId: string;
  reason: string;
  /** Labels need not follow this release. */
  settled: boolean;
  /** Whether a live session forbids the release. */
  unlessLive: boolean;
};

/** Ends open claims. Returns those that were still open, and not taken up by a live session. */
export async function releaseClaims(
  db: Db | Transaction<Database>,
  releases: Release[],
): Promise<string[]> {
  if (releases.length === 0) return [];
  // Locked in one order: two passes of one agent must not wait for each other.
  const { rows } = await sql<{ id: string }>`
    WITH release AS (
      SELECT * FROM jsonb_to_recordset(${JSON.stringify(releases)}::jsonb) AS release (
        "claimId" uuid, reason text, settled boolean, "unlessLive" boolean)
    ), open AS (
      SELECT id FROM issue_claims
      WHERE id IN (SELECT "claimId" FROM release) AND released_at IS NULL
      ORDER BY id FOR UPDATE
    )
    UPDATE issue_claims SET
      released_at = now(), release_reason = release.reason,
      labels_settled_at = CASE WHEN release.settled THEN now() END,
      labels_due_at = CASE WHEN NOT release.settled THEN now() END
    FROM open JOIN release ON release."claimId" = open.id
    WHERE issue_claims.id = open.id AND NOT (release."unlessLive" AND ${hasLiveSession})
    RETURNING issue_claims.id`.execute(db);
  return rows.map((row) => row.id);
}

/** Notes that the labels upstream followed these releases. */
export async function settleClaims(db: Db, claimIds: string[]): Promise<void> {
  if (claimIds.length === 0) return;
  await sql`
    UPDATE issue_claims SET labels_settled_at = now()
    WHERE id IN (
      SELECT id FROM issue_claims
      WHERE id = any(${claimIds}::uuid[]) AND released_at IS NOT NULL
        AND labels_settled_at IS NULL
      ORDER BY id FOR UPDATE)`.execute(db);
}
