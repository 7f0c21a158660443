import { sql } from 'kysely';
import type { Db } from '../connect.ts';

/** Bytes of a chunk: small enough that no process ever holds more than a few of them. */
export const CHUNK_BYTES = 512 * 1024;

/** Writes a bundle chunk by chunk; whoever reads sees all of it or nothing. */
export async function insertBundle(
  db: Db,
  bundle: { id: string; sessionId: string; chunks: AsyncIterable<Buffer>; prerequisites: string[] },
): Promise<{ bytes: number }> {
  return await db.transaction().execute(async (trx) => {
    await sql`
      INSERT INTO bundles (id, session_id, bytes, prerequisites)
      VALUES (${bundle.id}, ${bundle.sessionId}, 0, ${JSON.stringify(bundle.prerequisites)}::jsonb)
    `.execute(trx);
    let bytes = 0;
    let position = 0;
    for await (const data of inChunks(bundle.chunks)) {
      await trx
        .insertInto('bundle_chunks')
        .values({ bundle_id: bundle.id, position, data })
        .execute();
      bytes += data.length;
      position += 1;
    }
    await sql`UPDATE bundles SET bytes = ${bytes} WHERE id = ${bundle.id}`.execute(trx);
    return { bytes };
  });
}

async function* inChunks(parts: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let held: Buffer[] = [];
  let size = 0;
  for await (const part of parts) {
    for (let from = 0; from < part.length;) {
      const piece = part.subarray(from, from + CHUNK_BYTES - size);
      held.push(piece);
      size += piece.length;
      from += piece.length;
      if (size < CHUNK_BYTES) continue;
      yield Buffer.concat(held);
      held = [];
      size = 0;
    }
  }
  if (size > 0) yield Buffer.concat(held);
}

export type StoredBundle = { id: string; bytes: number; prerequisites: string[] };

/**
 * The smallest bundle that holds a checkpoint: its own, or that of a later one of the same session,
 * which builds on it.
 */
export async function findBundleOf(
  db: Db,
  checkpoint: { session_id: string; number: number },
): Promise<StoredBundle | undefined> {
  const row = await db
    .selectFrom('checkpoints')
    .innerJoin('bundles', 'bundles.id', 'checkpoints.bundle_id')
    .select(['bundles.id', 'bundles.bytes', 'bundles.prerequisites'])
    .where('checkpoints.session_id', '=', checkpoint.session_id)
    .where('checkpoints.number', '>=', checkpoint.number)
    .orderBy('checkpoints.number')
    .limit(1)
    .executeTakeFirst();
  return row;
}

/** The bundle's bytes, one chunk in memory at a time. */
export async function* readBundle(db: Db, id: string): AsyncGenerator<Buffer> {
  for (let position = 0; ; position += 1) {
    const row = await db
      .selectFrom('bundle_chunks')
      .select('data')
      .where('bundle_id', '=', id)
      .where('position', '=', position)
      .executeTakeFirst();
    if (!row) return;
    yield row.data;
  }
}

/**
 * Gives a checkpoint its bundle. Where that holds the earlier checkpoints of the session too, their
 * bundles go.
 */
export async function attachBundle(
  db: Db,
  options: { checkpointId: string; bundleId: string; holdsEarlier: boolean },
): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const { rows } = await sql<{ session_id: string; number: number }>`
      UPDATE checkpoints SET bundle_id = ${options.bundleId},
        durability = CASE WHEN durability = 'local' THEN 'stored' ELSE durability END
      WHERE id = ${options.checkpointId} RETURNING session_id, number`.execute(trx);
    const [checkpoint] = rows;
    if (!checkpoint || !options.holdsEarlier) return;
    await sql`
      DELETE FROM bundles USING checkpoints AS earlier
      WHERE bundles.id = earlier.bundle_id AND bundles.id <> ${options.bundleId}
        AND earlier.session_id = ${checkpoint.session_id}
        AND earlier.number < ${checkpoint.number}`.execute(trx);
  });
}

/**
 * Removes bundles that no checkpoint has: of uploads that were refused or cut off. What work on its
 * session may still need stays.
 */
export async function deleteUnusedBundles(
  db: Db,
  options: { olderThanSeconds: number; limit: number },
): Promise<number> {
  const { numAffectedRows } = await sql`
    DELETE FROM bundles WHERE id IN (
      SELECT bundles.id FROM bundles
      WHERE bundles.created_at < now() - make_interval(secs => ${options.olderThanSeconds})
        AND NOT EXISTS (SELECT FROM checkpoints WHERE checkpoints.bundle_id = bundles.id)
        AND NOT EXISTS (SELECT FROM runs
          WHERE runs.session_id = bundles.session_id AND runs.finished_at IS NULL)
      LIMIT ${options.limit} FOR UPDATE SKIP LOCKED)`.execute(db);
  return Number(numAffectedRows ?? 0);
}

/** Notes what an uploaded bundle builds on, once it was read. */
export async function setPrerequisites(db: Db, id: string, prerequisites: string[]): Promise<void> {
  await db
    .updateTable('bundles')
    .set({ prerequisites: JSON.stringify(prerequisites) })
    .where('id', '=', id)
    .execute();
}

/** The bundle that was made for this commit of a session, by whichever of its checkpoints. */
export async function findBundleOfCommit(
  db: Db,
  sessionId: string,
  commit: string,
): Promise<string | undefined> {
  const row = await db
    .selectFrom('checkpoints')
    .select('bundle_id')
    .where('session_id', '=', sessionId)
    .where('commit', '=', commit)
    .where('bundle_id', 'is not', null)
    .limit(1)
    .executeTakeFirst();
  return row?.bundle_id ?? undefined;
}
