import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { Session } from '../schema.ts';
import { isIssueOfKey, isRepoOfKey } from './issue-keys.ts';

type Claimant = Pick<Session, 'id' | 'agent_id' | 'issue_key'>;

/**
 * Claims the issue that the session names, if it is stored; a claim that the agent has already
 * becomes this session's. A claim of another agent holds only while its session lives or is to be
 * resumed, or for the grace where labels made it. False: another agent holds the issue. To be called
 * in a transaction.
 */
export async function claimIssueForSession(
  db: Db,
  id: string,
  session: Claimant,
): Promise<boolean> {
  await sql`
    UPDATE issue_claims SET
      released_at = now(), release_reason = 'no_live_session', labels_due_at = now()
    FROM issues, repos, (SELECT ${session.issue_key}::text AS issue_key) AS asked
    WHERE ${isRepoOfKey('asked.issue_key')} AND ${isIssueOfKey('asked.issue_key')}
      AND issue_claims.issue_id = issues.id AND issue_claims.released_at IS NULL
      AND issue_claims.agent_id <> ${session.agent_id} AND issue_claims.source = 'session'
      AND NOT EXISTS (
        SELECT FROM sessions AS holder WHERE holder.id = issue_claims.session_id
          AND (holder.ended_at IS NULL OR holder.resume_at IS NOT NULL))`.execute(db);
  const { rows } = await sql<{ stored: boolean; claimed: boolean }>`
    WITH issue AS (
      SELECT issues.id
      FROM (SELECT ${session.issue_key}::text AS issue_key) AS asked
      JOIN repos ON ${isRepoOfKey('asked.issue_key')}
      JOIN issues ON ${isIssueOfKey('asked.issue_key')}
      WHERE issues.vanished_at IS NULL
    ), claimed AS (
      INSERT INTO issue_claims (id, issue_id, agent_id, session_id, source)
      SELECT ${id}::uuid, issue.id, ${session.agent_id}::uuid, ${session.id}::uuid, 'session'
      FROM issue
      WHERE EXISTS (SELECT FROM sessions WHERE id = ${session.id}::uuid AND ended_at IS NULL)
      ON CONFLICT (issue_id) WHERE released_at IS NULL DO UPDATE
        SET session_id = EXCLUDED.session_id, source = 'session'
        WHERE issue_claims.agent_id = EXCLUDED.agent_id
      RETURNING issue_claims.id
    )
    SELECT EXISTS (SELECT FROM issue) AS stored, EXISTS (SELECT FROM claimed) AS claimed
  `.execute(db);
  return rows[0]?.stored !== true || rows[0].claimed;
}

export type Unclaimed = Claimant & {
  issue_url: string;
  repo: string;
  /** Whether the issue is among those that a sync has stored. */
  stored: boolean;
  /** Whether the repository was ever read as a whole. */
  synced: boolean;
  /** The agent that holds the issue by a claim of its own. */
  holder: string | null;
};

/**
 * Live sessions of an agent (or of any) on issues of tracked repositories that hold no claim on them:
 * the issue was not stored when they began, was closed meanwhile, or is another agent's.
 */
export async function listUnclaimed(
  db: Db,
  options: { agentId: string | null; limit: number },
): Promise<Unclaimed[]> {
  const { rows } = await sql<Unclaimed>`
    SELECT sessions.id, sessions.agent_id, sessions.issue_key, sessions.issue_url,
      repos.owner || '/' || repos.name AS repo, issues.id IS NOT NULL AS stored,
      repos.synced_at IS NOT NULL AS synced, agents.name AS holder
    FROM sessions
    JOIN repos ON ${isRepoOfKey('sessions.issue_key')}
    LEFT JOIN issues ON ${isIssueOfKey('sessions.issue_key')}
    LEFT JOIN issue_claims ON issue_claims.issue_id = issues.id AND issue_claims.released_at IS NULL
    LEFT JOIN agents ON agents.id = issue_claims.agent_id AND agents.id <> sessions.agent_id
    WHERE sessions.ended_at IS NULL AND sessions.issue_key IS NOT NULL
      AND (${options.agentId}::uuid IS NULL OR sessions.agent_id = ${options.agentId}::uuid)
      AND issue_claims.session_id IS DISTINCT FROM sessions.id
      AND (issues.id IS NULL OR (issues.state = 'open' AND issues.vanished_at IS NULL))
    -- Those that can have their claim first: the others may be many, and stay.
    ORDER BY issues.id IS NULL, agents.id IS NOT NULL, sessions.id
    LIMIT ${options.limit}`.execute(db);
  return rows;
}
