import type { Db } from '../../db/connect.ts';
import type { Page, PageRequest } from '../../db/page.ts';
import { listAudit } from '../../db/queries/audit.ts';
import type { AuditRow } from '../../db/schema.ts';

/** An entry of the audit as the API shows it. */
export type AuditView = {
  id: string;
  at: string;
  actor: { scope: AuditRow['actor']; tokenId: string | null; agentName: string | null };
  action: string;
  target: string;
  details: Record<string, unknown>;
  address: string | null;
  requestId: string | null;
};

const toView = (row: AuditRow): AuditView => ({
  id: row.id,
  at: row.at.toISOString(),
  actor: { scope: row.actor, tokenId: row.token_id, agentName: row.agent_name },
  action: row.action,
  target: row.target,
  details: row.details,
  address: row.address,
  requestId: row.request_id,
});

export async function listAuditViews(db: Db, page: PageRequest): Promise<Page<AuditView>> {
  const { items, nextCursor } = await listAudit(db, page);
  return { items: items.map(toView), nextCursor };
}
