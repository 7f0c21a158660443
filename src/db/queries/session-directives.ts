import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { Session } from '../schema.ts';
import { isIssueOfKey, isRepoOfKey } from './issue-keys.ts';

const ISSUE_CLOSED = { type: 'cancel', reason: 'the issue was closed upstream' };

export type Directed = {
  id: string;
  directive: Session['directive'];
  issueUrl: string | null;
  /** Whether it was told just now. */
  fresh: boolean;
};

/**
 * Tells live sessions of an agent (or of any) whose issue was closed upstream to cancel, once each,
 * and takes that back where the issue is open again. Returns every directive that waits for a live
 * session of the agent.
 */
export async function directSessions(db: Db, agentId: string | null): Promise<Directed[]> {
  const told = JSON.stringify(ISSUE_CLOSED);
  const ofAgent = sql<boolean>`(
    ${agentId}::uuid IS NULL OR sessions.agent_id = ${agentId}::uuid)`;
  const onIssue = sql<boolean>`(
    ${isRepoOfKey('sessions.issue_key')} AND ${isIssueOfKey('sessions.issue_key')})`;
  await sql`
    UPDATE sessions SET directive = NULL FROM repos, issues
    WHERE sessions.ended_at IS NULL AND ${ofAgent} AND sessions.directive = ${told}::jsonb
      AND ${onIssue} AND issues.state = 'open' AND issues.vanished_at IS NULL`.execute(db);
  const { rows } = await sql<Directed>`
    WITH cancelled AS (
      UPDATE sessions SET directive = ${told}::jsonb FROM repos, issues
      WHERE sessions.ended_at IS NULL AND ${ofAgent} AND sessions.directive IS NULL
        AND ${onIssue} AND issues.state = 'closed'
      RETURNING sessions.id, sessions.directive, sessions.issue_url AS "issueUrl", true AS fresh
    )
    SELECT * FROM cancelled
    UNION ALL
    SELECT id, directive, issue_url, false FROM sessions
    WHERE ended_at IS NULL AND ${ofAgent} AND directive IS NOT NULL
    ORDER BY id`.execute(db);
  return rows;
}
