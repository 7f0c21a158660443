import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import { type Page, type PageRequest, toPage } from '../page.ts';
import type { HeartbeatInput, Run, RunKind, RunStatus, RunStep } from '../schema.ts';

export type AcceptedRun = {
  id: string;
  agentName: string;
  kind: RunKind;
  sessionId: string | null;
  input: HeartbeatInput;
  idempotencyKey: string | null;
  requestHash: Buffer | null;
};

/**
 * Records that a run was accepted: the moment from which it is never lost. The agent must exist
 * and not be paused, and its idempotency key must be new: settled here, not before. Returns
 * whether a row was written.
 */
export async function insertRun(db: Db, run: AcceptedRun): Promise<boolean> {
  const result = await db
    .insertInto('runs')
    .columns([
      'id',
      'agent_id',
      'agent_name',
      'kind',
      'session_id',
      'input',
      'idempotency_key',
      'request_hash',
    ])
    .expression((eb) =>
      eb
        .selectFrom('agents')
        .select([
          sql<string>`${run.id}::uuid`.as('id'),
          'agents.id as agent_id',
          'agents.name as agent_name',
          sql<RunKind>`${run.kind}::text`.as('kind'),
          sql<string | null>`${run.sessionId}::uuid`.as('session_id'),
          sql<string>`${JSON.stringify(run.input)}::jsonb`.as('input'),
          sql<string | null>`${run.idempotencyKey}::text`.as('idempotency_key'),
          sql<Buffer | null>`${run.requestHash}::bytea`.as('request_hash'),
        ])
        .where('agents.name', '=', run.agentName)
        .where('agents.paused', '=', false),
    )
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  return result.numInsertedOrUpdatedRows === 1n;
}

export async function findRunByKey(
  db: Db,
  agentName: string,
  idempotencyKey: string,
): Promise<Run | undefined> {
  return await db
    .selectFrom('runs')
    .selectAll('runs')
    .innerJoin('agents', 'agents.id', 'runs.agent_id')
    .where('agents.name', '=', agentName)
    .where('runs.idempotency_key', '=', idempotencyKey)
    .executeTakeFirst();
}

/** Of these runs, those that are finished. One read for all waiters of a process. */
export async function findFinishedRuns(db: Db, ids: string[]): Promise<Run[]> {
  return await db
    .selectFrom('runs')
    .selectAll()
    .where('id', '=', sql<string>`any(${ids}::uuid[])`)
    .where('finished_at', 'is not', null)
    .execute();
}

export type RunWithSteps = Run & { steps: RunStep[] };

export async function findRun(db: Db, id: string): Promise<RunWithSteps | undefined> {
  const run = await db.selectFrom('runs').selectAll().where('id', '=', id).executeTakeFirst();
  if (!run) return undefined;
  return { ...run, steps: (await stepsOf(db, [id])).get(id) ?? [] };
}

export type RunFilter = { agentName?: string; kind?: RunKind; status?: RunStatus };

/** Newest first. */
export async function listRuns(
  db: Db,
  filter: RunFilter,
  { limit, cursor }: PageRequest,
): Promise<Page<RunWithSteps>> {
  let query = db.selectFrom('runs').selectAll('runs');
  if (filter.agentName !== undefined) {
    query = query
      .innerJoin('agents', 'agents.id', 'runs.agent_id')
      .where('agents.name', '=', filter.agentName);
  }
  if (filter.kind) query = query.where('runs.kind', '=', filter.kind);
  if (filter.status) query = query.where('runs.status', '=', filter.status);
  if (cursor) query = query.where('runs.id', '<', cursor);
  const rows = await query
    .orderBy('runs.id', 'desc')
    .limit(limit + 1)
    .execute();
  const page = toPage(rows, limit);
  const steps = await stepsOf(
    db,
    page.items.map((run) => run.id),
  );
  const items = page.items.map((run) => ({ ...run, steps: steps.get(run.id) ?? [] }));
  return { ...page, items };
}

async function stepsOf(db: Db, ids: string[]): Promise<Map<string, RunStep[]>> {
  if (ids.length === 0) return new Map();
  const rows = await db
    .selectFrom('run_steps')
    .select(['run_id', 'name', 'status', 'duration_ms'])
    .where('run_id', '=', sql<string>`any(${ids}::uuid[])`)
    .orderBy('run_id')
    .orderBy('position')
    .execute();
  return Map.groupBy(rows, (row) => row.run_id);
}

/** How many runs wait for a worker, counted no further than `upTo`: a cheap gauge of pressure. */
export async function countQueued(db: Db, upTo: number): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    SELECT count(*) AS count
    FROM (SELECT 1 FROM runs WHERE status = 'queued' LIMIT ${upTo}) AS waiting`.execute(db);
  return rows[0]?.count ?? 0;
}

/**
 * Deletes finished runs of one kind that are older than the retention; at most `limit` of them, so
 * that no statement holds locks for long. Returns how many were deleted.
 */
export async function purgeRuns(
  db: Db,
  options: { kind: RunKind; olderThanDays: number; limit: number },
): Promise<number> {
  const { numAffectedRows } = await sql`
    DELETE FROM runs WHERE id IN (
      SELECT id FROM runs
      WHERE kind = ${options.kind}
        AND finished_at < now() - make_interval(days => ${options.olderThanDays})
      ORDER BY finished_at
      LIMIT ${options.limit}
      FOR UPDATE SKIP LOCKED
    )`.execute(db);
  return Number(numAffectedRows ?? 0);
}
