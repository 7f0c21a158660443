import type { KyselyPlugin } from 'kysely';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Db, openDb, openPool } from '../../../src/db/connect.ts';
import { putAgent } from '../../../src/services/agents/put.ts';
import {
  type AcceptHeartbeat,
  createAcceptHeartbeat,
} from '../../../src/services/heartbeat/accept.ts';
import { createTestDatabase, type TestDatabase } from '../../setup/database.ts';

let database: TestDatabase;
let db: Db;
let accept: AcceptHeartbeat;

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDb(
    openPool({ url: database.url, max: 8, applicationName: 'test', onError: () => undefined }),
  );
  accept = createAcceptHeartbeat(db);
  await putAgent(db, 'builder', {});
  await putAgent(db, 'other', {});
  await putAgent(db, 'paused', { paused: true });
});
afterAll(async () => {
  await db.destroy();
  await database.drop();
});

const request = (agentName = 'builder', more: Partial<Parameters<AcceptHeartbeat>[0]> = {}) => ({
  agentName,
  input: {},
  idempotencyKey: undefined,
  ...more,
});
const keyed = (idempotencyKey: string, input = {}, agentName = 'builder') =>
  request(agentName, { idempotencyKey, input });

const runs = () => db.selectFrom('runs').selectAll().execute();
const rowOf = async (id: string) => (await runs()).find((run) => run.id === id);

it('records a queued run with what the agent said', async () => {
  const { runId, created } = await accept(request('builder', { input: { turn: 3, note: 'hi' } }));
  expect(created).toBe(true);
  expect(await rowOf(runId)).toMatchObject({
    agent_name: 'builder',
    kind: 'heartbeat',
    status: 'queued',
    input: { turn: 3, note: 'hi' },
    epoch: 0,
    dispatch: 1,
    finished_at: null,
    idempotency_key: null,
  });
});

it('gives each of a crowd its own answer, whoever is refused among them', async () => {
  const before = (await runs()).length;
  const names = Array.from(
    { length: 90 },
    (_, index) => ['builder', 'paused', 'nobody'][index % 3]!,
  );
  const results = await Promise.allSettled(names.map((name) => accept(request(name))));
  results.forEach((result, index) => {
    if (names[index] === 'builder') expect(result).toMatchObject({ value: { created: true } });
    if (names[index] === 'paused') expect(result).toMatchObject({ reason: { code: 'conflict' } });
    if (names[index] === 'nobody') expect(result).toMatchObject({ reason: { code: 'not_found' } });
  });
  const ids = results.flatMap((result) =>
    result.status === 'fulfilled' ? result.value.runId : [],
  );
  expect(new Set(ids).size).toBe(30);
  expect((await runs()).length).toBe(before + 30);
});

it('makes one run of the same key and body, of which one caller is the first', async () => {
  const before = (await runs()).length;
  const crowd = await Promise.all(
    Array.from({ length: 100 }, () => accept(keyed('crowd', { turn: 1 }))),
  );
  expect(new Set(crowd.map(({ runId }) => runId)).size).toBe(1);
  expect(crowd.filter(({ created }) => created)).toHaveLength(1);
  expect((await runs()).length).toBe(before + 1);
});

it('refuses the key with another body, also in one crowd, and makes no run of it', async () => {
  const before = (await runs()).length;
  const bodies = [{ turn: 1 }, { turn: 2 }, { turn: 1 }, { note: '1' }, {}];
  const results = await Promise.allSettled(bodies.map((input) => accept(keyed('clash', input))));
  const refused = results.filter(({ status }) => status === 'rejected');
  expect(refused).toHaveLength(3);
  for (const result of refused) {
    expect(result).toMatchObject({ reason: { code: 'idempotency_mismatch' } });
  }
  expect((await runs()).length).toBe(before + 1);
});

it('takes fields in another order for the same body, and another agent for another key', async () => {
  const first = await accept(keyed('order', { turn: 1, note: 'n' }));
  expect(await accept(keyed('order', { note: 'n', turn: 1 }))).toEqual({
    ...first,
    created: false,
    ahead: expect.any(Number),
  });
  const other = await accept(keyed('order', { turn: 9 }, 'other'));
  expect(other.created).toBe(true);
  expect(other.runId).not.toBe(first.runId);
});

it('answers a repeated request of an agent that was paused since', async () => {
  await putAgent(db, 'sleepy', {});
  const first = await accept(keyed('before', {}, 'sleepy'));
  await putAgent(db, 'sleepy', { paused: true });
  expect(await accept(keyed('before', {}, 'sleepy'))).toEqual({ ...first, created: false });
  await expect(accept(keyed('after', {}, 'sleepy'))).rejects.toMatchObject({ code: 'conflict' });
});

it('refuses a session that does not exist', async () => {
  const sessionId = '01920000-0000-7000-8000-000000000000';
  await expect(accept(request('builder', { input: { sessionId } }))).rejects.toMatchObject({
    code: 'not_found',
  });
});

it('knows its own runs again when the answer of the database was lost', async () => {
  let losses = 0;
  const losing: KyselyPlugin = {
    transformQuery: ({ node }) => node,
    transformResult: async ({ result }) => {
      if (result.rows.length < 2 || losses > 0) return result;
      losses += 1;
      throw new Error('Connection terminated unexpectedly');
    },
  };
  const lossy = createAcceptHeartbeat(db.withPlugin(losing));
  const before = (await runs()).length;
  const accepted = await Promise.all(Array.from({ length: 10 }, () => lossy(request())));
  expect(losses).toBe(1);
  expect(accepted.every(({ created }) => created)).toBe(true);
  expect(new Set(accepted.map(({ runId }) => runId)).size).toBe(10);
  expect((await runs()).length).toBe(before + 10);
});
