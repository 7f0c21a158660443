import {
  claimIssueForSession,
  listUnclaimed,
  type Unclaimed,
} from '../../db/queries/session-claims.ts';
import type { Db } from '../../db/connect.ts';
import { newId } from '../ids.ts';

/** Most sessions that one pass makes claims for; the rest is for the next. */
const BATCH = 200;

/**
 * Makes the claims of live sessions that could make none when they began. Returns the issues' pages,
 * and a warning for each session that still has none.
 *
 * @param agentId null: of every agent
 */
export async function claimForSessions(
  db: Db,
  agentId: string | null,
): Promise<{ warnings: string[]; claimedUrls: string[] }> {
  const warnings: string[] = [];
  const claimedUrls: string[] = [];
  for (const session of await listUnclaimed(db, { agentId, limit: BATCH })) {
    const claimed =
      session.stored &&
      (await db.transaction().execute((trx) => claimIssueForSession(trx, newId(), session)));
    if (claimed) claimedUrls.push(session.issue_url);
    else warnings.push(`reconcile issues: ${session.repo}: ${whyNot(session)}`);
  }
  return { warnings, claimedUrls };
}

function whyNot({ id, issue_url, stored, synced, holder }: Unclaimed): string {
  const subject = `Session ${id} has no claim on ${issue_url}`;
  if (stored) {
    const who = holder === null ? 'another agent' : `the agent "${holder}"`;
    return `${subject}: ${who} has claimed it. Stop one of the two: POST /api/sessions/${id}/interrupt.`;
  }
  return synced
    ? `${subject}: GitHub has listed no such issue yet. The claim follows when it does; until then no label shows it. Check the number if this stays.`
    : `${subject}: the repository's issues are still being read. The claim follows.`;
}
