import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Db, openDb, openPool } from '../../../src/db/connect.ts';
import { upsertAgent } from '../../../src/db/queries/agents.ts';
import { endDueSessions } from '../../../src/db/queries/session-watch.ts';
import { beatSession, findSession, insertSession } from '../../../src/db/queries/sessions.ts';
import { newId } from '../../../src/services/ids.ts';
import { createTestDatabase, type TestDatabase } from '../../setup/database.ts';

let database: TestDatabase;
let db: Db;
beforeAll(async () => {
  database = await createTestDatabase();
  // One connection, so that what it did is what the statistics say.
  const pool = openPool({
    url: database.url,
    max: 1,
    applicationName: 'test',
    session: true,
    onError: () => undefined,
  });
  db = openDb(pool);
  await upsertAgent(db, newId(), 'builder', {});
});
afterAll(async () => {
  await db.destroy();
  await database.drop();
});

async function start(): Promise<string> {
  const id = newId();
  const none = {
    repo: null,
    issueUrl: null,
    issueKey: null,
    worktree: null,
    host: null,
    branch: null,
    turn: null,
  };
  const times = { leaseSeconds: 60, timeoutSeconds: null, takeover: null, startSeconds: 120 };
  await insertSession(db, { id, agentName: 'builder', objective: 'x', ...none, ...times });
  return id;
}

const beat = (id: string, turn: number) =>
  beatSession(db, id, { turn, note: `turn ${turn}`, place: null });

async function updates(): Promise<{ all: number; inPlace: number }> {
  await sql`SELECT pg_stat_force_next_flush()`.execute(db);
  const { rows } = await sql<{ all: number; inPlace: number }>`
    SELECT n_tup_upd AS all, n_tup_hot_upd AS "inPlace"
    FROM pg_stat_user_tables WHERE relname = 'sessions'`.execute(db);
  return rows[0]!;
}

test('a beat is an update in place, which touches no index', async () => {
  const id = await start();
  await beat(id, 0);
  const before = await updates();
  for (let turn = 1; turn <= 20; turn += 1) await beat(id, turn);
  const after = await updates();
  expect(after.all - before.all).toBe(20);
  // Now and then a page is full.
  expect(after.inPlace - before.inPlace).toBeGreaterThanOrEqual(16);
});

test('the watch passes over a session that was renewed, and ends it when its time is over', async () => {
  const id = await start();
  await beat(id, 1);
  const ended = async () => (await endDueSessions(db, 10)).map((session) => session.id);
  const age = (column: 'watch_at' | 'lease_expires_at') =>
    sql`UPDATE sessions SET ${sql.ref(column)} = now() - interval '1 second' WHERE id = ${id}`.execute(
      db,
    );
  await age('watch_at');
  expect(await ended()).toEqual([]);
  const renewed = await findSession(db, id);
  expect(renewed?.watch_at).toEqual(renewed?.due_at);
  await age('lease_expires_at');
  expect(await ended()).toEqual([id]);
});

test('a session that is to be looked at sooner is looked at sooner', async () => {
  const id = await start();
  const first = await findSession(db, id);
  expect(first?.watch_at).toEqual(first?.start_deadline_at);
  // Its lease is shorter than what it had for its start.
  await beat(id, 1);
  const second = await findSession(db, id);
  expect(second?.watch_at).toEqual(second?.lease_expires_at);
});
