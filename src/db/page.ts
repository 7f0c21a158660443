import { type SelectQueryBuilder, sql } from 'kysely';
import type { Database } from './schema.ts';

/** One page of a list. `nextCursor` is null on the last page. */
export type Page<T> = { items: T[]; nextCursor: string | null };

export type PageRequest = { limit: number; cursor?: string | undefined };

/**
 * Makes a page of rows read with `limit + 1`: the one too many only tells that there is more.
 * The cursor is the id of the last item; ids are UUIDv7, so their order is that of creation.
 */
export function toPage<T extends { id: string }>(rows: T[], limit: number): Page<T> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, nextCursor: rows.length > limit && last ? last.id : null };
}

/** One page of a query of whole rows, newest first. */
export async function newestFirst<Table extends keyof Database, Row extends { id: string }>(
  query: SelectQueryBuilder<Database, Table, Row>,
  { limit, cursor }: PageRequest,
): Promise<Page<Row>> {
  const id = sql.ref<string>('id');
  const after = cursor === undefined ? query : query.where(id, '<', cursor);
  const rows = await after
    .orderBy(id, 'desc')
    .limit(limit + 1)
    .execute();
  return toPage(rows, limit);
}

/** Ids that begin alike. */
export type IdRange = { from: string; to: string };
