import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { RunKind, RunStatus } from '../schema.ts';
import { firstIdAt } from './run-ids.ts';

/** What counting runs needs of one. `seconds` is how long it was worked on; null: not finished. */
export type TalliedRun = { id: string; kind: RunKind; status: RunStatus; seconds: number | null };

const columns = (db: Db) =>
  db
    .selectFrom('runs')
    .select(['id', 'kind', 'status'])
    .select(
      sql<
        number | null
      >`extract(epoch FROM finished_at - coalesce(started_at, queued_at))::float8`.as('seconds'),
    );

/** Runs in the order of their ids, from behind `after` to those accepted before `acceptedBefore`. */
export async function runsAfter(
  db: Db,
  options: { after: string; acceptedBefore: Date; limit: number },
): Promise<TalliedRun[]> {
  return await columns(db)
    .where('id', '>', options.after)
    .where('id', '<', firstIdAt(options.acceptedBefore))
    .orderBy('id')
    .limit(options.limit)
    .execute();
}

export async function runsById(db: Db, ids: string[]): Promise<TalliedRun[]> {
  return await columns(db)
    .where('id', '=', sql<string>`any(${ids}::uuid[])`)
    .execute();
}
