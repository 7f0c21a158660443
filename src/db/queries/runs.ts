import { type RawBuilder, sql, type SqlBool } from 'kysely';
import type { Db } from '../connect.ts';
import { type IdRange, type Page, type PageRequest, toPage } from '../page.ts';
import { isNamed } from './agents.ts';
import { firstIdAt } from './run-ids.ts';
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

export type Insertion = {
  /** Whether the row was written. */
  written: boolean;
  /** How many unfinished runs of the same agent and kind came before it, counted to the limit. */
  ahead: number;
};

/**
 * Records that runs were accepted: the moment from which they are never lost. For each, the agent
 * must exist, not be paused and have fewer than `maxPerAgent` runs of the kind waiting, and the
 * idempotency key must be new: settled here, not before. In the order of `runs`.
 */
export async function insertRuns(
  db: Db,
  runs: AcceptedRun[],
  maxPerAgent: number,
): Promise<Insertion[]> {
  // The index of names is on their lower case; without naming it, all agents would be read.
  const { rows } = await sql<Insertion & { id: string }>`
    WITH wanted AS MATERIALIZED (
    SELECT run.*, agents.id AS agent_id, waiting.count + row_number() OVER (
        PARTITION BY run.agent_name, run.kind ORDER BY run.id) - 1 AS ahead
    FROM unnest(
      ${runs.map((run) => run.id)}::uuid[],
      ${runs.map((run) => run.agentName)}::text[],
      ${runs.map((run) => run.kind)}::text[],
      ${runs.map((run) => run.sessionId)}::uuid[],
      ${runs.map((run) => JSON.stringify(run.input))}::text[],
      ${runs.map((run) => run.idempotencyKey)}::text[],
      ${runs.map((run) => run.requestHash)}::bytea[]
    ) AS run (id, agent_name, kind, session_id, input, idempotency_key, request_hash)
    JOIN agents ON agents.name = run.agent_name AND NOT agents.paused
      AND lower(agents.name) = any(${runs.map((run) => run.agentName.toLowerCase())}::text[])
    CROSS JOIN LATERAL (
      SELECT count(*) FROM (
        SELECT FROM runs
        WHERE runs.agent_id = agents.id AND runs.kind = run.kind AND runs.finished_at IS NULL
        LIMIT ${maxPerAgent}::int) AS unfinished
    ) AS waiting
    ), inserted AS (
      INSERT INTO runs
        (id, agent_id, agent_name, kind, session_id, input, idempotency_key, request_hash)
      SELECT id, agent_id, agent_name, kind, session_id, input::jsonb, idempotency_key, request_hash
      FROM wanted WHERE ahead < ${maxPerAgent}::int
      ON CONFLICT DO NOTHING
      RETURNING id
    )
    SELECT wanted.id, wanted.ahead, inserted.id IS NOT NULL AS written
    FROM wanted LEFT JOIN inserted USING (id)`.execute(db);
  const byId = new Map(rows.map((row) => [row.id, row]));
  return runs.map(({ id }) => byId.get(id) ?? { written: false, ahead: 0 });
}

/** How many unfinished runs of a kind an agent has, counted no further than `upTo`. */
export async function countUnfinished(
  db: Db,
  agentId: string,
  kind: RunKind,
  upTo: number,
): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    SELECT count(*) FROM (
      SELECT FROM runs WHERE agent_id = ${agentId} AND kind = ${kind} AND finished_at IS NULL
      LIMIT ${upTo}::int) AS unfinished`.execute(db);
  return rows[0]?.count ?? 0;
}

export async function runExists(db: Db, id: string): Promise<boolean> {
  return (
    (await db.selectFrom('runs').select('id').where('id', '=', id).executeTakeFirst()) !== undefined
  );
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
    .where(isNamed(agentName))
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

export type RunFilter = {
  agentName?: string;
  kind?: RunKind;
  status?: RunStatus;
  sessionId?: string | undefined;
  idPrefix?: IdRange | undefined;
};

/** SQL: in the order of an index that begins with the filter; "=" would leave the planner free to use another. */
const between = (column: string, value: RawBuilder<unknown>) =>
  sql<SqlBool>`${sql.ref(column)} >= ${value} AND ${sql.ref(column)} <= ${value}`;

/** The newest of what is rare are not found by reading back through all: each has its index. */
function order(filter: RunFilter): string[] {
  if (filter.agentName !== undefined) return ['runs.agent_id'];
  return filter.status && isLive(filter.status) ? ['runs.finished_at'] : [];
}

const isLive = (status: RunStatus) => status === 'queued' || status === 'running';

/** Newest first. */
export async function listRuns(
  db: Db,
  filter: RunFilter,
  { limit, cursor }: PageRequest,
): Promise<Page<RunWithSteps>> {
  let query = db.selectFrom('runs').selectAll('runs');
  if (filter.agentName !== undefined) {
    const agent = sql`(SELECT agents.id FROM agents WHERE ${isNamed(filter.agentName)})`;
    query = query.where(between('runs.agent_id', agent));
  }
  // Both are written out: an index on some of their values serves only a statement that names the value.
  if (filter.kind) query = query.where('runs.kind', '=', sql.lit(filter.kind));
  if (filter.status) query = query.where('runs.status', '=', sql.lit(filter.status));
  if (filter.status && isLive(filter.status)) query = query.where('runs.finished_at', 'is', null);
  if (filter.sessionId) query = query.where('runs.session_id', '=', filter.sessionId);
  if (filter.idPrefix) {
    const { from, to } = filter.idPrefix;
    query = query.where('runs.id', '>=', from).where('runs.id', '<=', to);
  }
  if (cursor) query = query.where('runs.id', '<', cursor);
  for (const column of order(filter)) query = query.orderBy(sql.ref(column));
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
export async function countQueued(db: Db, upTo: number, kinds?: RunKind[]): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    SELECT count(*) AS count
    FROM (
      SELECT 1 FROM runs
      WHERE finished_at IS NULL AND status = 'queued'
        AND ${kinds === undefined ? sql`true` : sql`kind = any(${kinds}::text[])`}
      LIMIT ${upTo}
    ) AS waiting`.execute(db);
  return rows[0]?.count ?? 0;
}

/**
 * Deletes finished runs that were accepted before the retention; at most `limit` of
 * them, so that no statement holds locks for long. Returns how many were deleted.
 */
export async function purgeRuns(
  db: Db,
  options: { acceptedBefore: Date; limit: number },
): Promise<number> {
  // Ids are UUIDv7, so the primary key is in order of time and serves as the index.
  const { numAffectedRows } = await sql`
    DELETE FROM runs WHERE id IN (
      SELECT id FROM runs
      WHERE id < ${firstIdAt(options.acceptedBefore)}::uuid
        AND finished_at IS NOT NULL
      ORDER BY id
      LIMIT ${options.limit}
      FOR UPDATE SKIP LOCKED
    )`.execute(db);
  return Number(numAffectedRows ?? 0);
}
