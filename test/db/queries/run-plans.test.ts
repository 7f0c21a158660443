import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Db, openDb, openPool } from '../../../src/db/connect.ts';
import { findAgent, findAgentsAtWork, upsertAgent } from '../../../src/db/queries/agents.ts';
import { claimRuns, finishRuns } from '../../../src/db/queries/run-claims.ts';
import { findFinishedRuns, insertRuns, listRuns } from '../../../src/db/queries/runs.ts';
import { newId } from '../../../src/services/ids.ts';
import { createTestDatabase, type TestDatabase } from '../../setup/database.ts';

let database: TestDatabase;
let db: Db;
const agentId = newId();

beforeAll(async () => {
  database = await createTestDatabase();
  // One connection: it keeps the plans that this test is about.
  const pool = openPool({
    url: database.url,
    max: 1,
    applicationName: 'test',
    session: true,
    onError: () => undefined,
  });
  db = openDb(pool);
  await upsertAgent(db, agentId, 'builder', {});
});
afterAll(async () => {
  await db.destroy();
  await database.drop();
});

/** Every statement of a heartbeat's way, once. */
async function pass(): Promise<void> {
  const id = newId();
  const run = { id, agentName: 'builder', kind: 'heartbeat' as const, sessionId: null, input: {} };
  const wanted = [{ ...run, idempotencyKey: null, requestHash: null }];
  expect(await insertRuns(db, wanted, 1000)).toMatchObject([{ written: true, ahead: 0 }]);
  const [claimed] = await claimRuns(db, {
    ids: [id],
    holder: 'test',
    leaseSeconds: 20,
    maxDeaths: 3,
  });
  expect(await findAgentsAtWork(db, [agentId])).toHaveLength(1);
  const result = {
    status: 'ok' as const,
    summary: '',
    warnings: [],
    errors: [],
    touchedIssueUrls: [],
    directives: [],
    nextHeartbeatSeconds: null,
    steps: [{ name: 'load agent', status: 'ok' as const, duration_ms: 1 }],
  };
  expect(await finishRuns(db, [{ ...result, id, epoch: claimed!.epoch }])).toMatchObject([{ id }]);
  expect(await findFinishedRuns(db, [id])).toMatchObject([{ id }]);
}

/** How many rows and index entries of runs and agents were read since the database was made. */
async function entriesRead(): Promise<number> {
  await sql`SELECT pg_stat_force_next_flush()`.execute(db);
  const { rows } = await sql<{ read: number }>`
    SELECT (
      (SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname IN ('runs', 'agents')) +
      (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname IN ('runs', 'agents'))
    )::int AS read`.execute(db);
  return rows[0]!.read;
}

test('statements that were planned for empty tables look up what they need when those have grown', async () => {
  for (let i = 0; i < 12; i += 1) await pass();
  await sql`
    INSERT INTO runs (id, agent_id, agent_name, kind, status, finished_at)
    SELECT uuidv7(), ${agentId}, 'builder', 'heartbeat', 'ok', now()
    FROM generate_series(1, 3000)`.execute(db);
  await sql`
    INSERT INTO agents (id, name) SELECT uuidv7(), 'agent-' || n FROM generate_series(1, 3000) AS n
  `.execute(db);
  const before = await entriesRead();
  await pass();
  expect((await entriesRead()) - before).toBeLessThan(100);
});

test.each<[string, () => Promise<unknown>]>([
  ['the runs of an agent that has none', () => listRuns(db, { agentName: 'idle' }, { limit: 50 })],
  ['runs that are under way', () => listRuns(db, { status: 'running' }, { limit: 50 })],
  ['runs of a rare kind', () => listRuns(db, { kind: 'resume' }, { limit: 50 })],
  ['runs that failed', () => listRuns(db, { status: 'error' }, { limit: 50 })],
  ['an agent', () => findAgent(db, 'idle')],
  ['an agent that is changed', () => upsertAgent(db, newId(), 'idle', { paused: false })],
])('a list or look-up reads what it shows, not the table: %s', async (_what, read) => {
  await upsertAgent(db, newId(), 'idle', {});
  await sql`ANALYZE runs, agents`.execute(db);
  const before = await entriesRead();
  await read();
  expect((await entriesRead()) - before).toBeLessThan(100);
});

test('no statement is compiled: it takes longer than what it saves', async () => {
  const { rows } = await sql<{ jit: string }>`SHOW jit`.execute(db);
  expect(rows).toEqual([{ jit: 'off' }]);
});
