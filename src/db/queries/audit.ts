import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import { type Page, type PageRequest, newestFirst } from '../page.ts';
import type { AuditRow } from '../schema.ts';
import { firstIdAt } from './run-ids.ts';

export type NewAudit = Omit<AuditRow, 'at' | 'details'> & { details: Record<string, unknown> };

export async function insertAudit(db: Db, row: NewAudit): Promise<void> {
  await db
    .insertInto('audit')
    .values({ ...row, details: JSON.stringify(row.details) })
    .execute();
}

/** Newest first. */
export function listAudit(db: Db, request: PageRequest): Promise<Page<AuditRow>> {
  return newestFirst(db.selectFrom('audit').selectAll(), request);
}

export async function purgeAudit(
  db: Db,
  options: { before: Date; limit: number },
): Promise<number> {
  // Ids are UUIDv7, so the primary key is in order of time and serves as the index.
  const { numAffectedRows } = await sql`
    DELETE FROM audit WHERE id IN (
      SELECT id FROM audit WHERE id < ${firstIdAt(options.before)}::uuid
      ORDER BY id LIMIT ${options.limit} FOR UPDATE SKIP LOCKED)`.execute(db);
  return Number(numAffectedRows ?? 0);
}
