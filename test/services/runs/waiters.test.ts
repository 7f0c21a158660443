import { sql } from 'kysely';
import type { Pool } from 'pg';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Db, openDb, openPool } from '../../../src/db/connect.ts';
import { claimRuns, finishRuns } from '../../../src/db/queries/run-claims.ts';
import { createAcceptHeartbeat } from '../../../src/services/heartbeat/accept.ts';
import { putAgent } from '../../../src/services/agents/put.ts';
import { createRunWaiters, type RunWaiters } from '../../../src/services/runs/waiters.ts';
import { createTestDatabase, type TestDatabase } from '../../setup/database.ts';

const NEVER = 1_000_000_000;
const LONG = { timeoutMs: 20_000 };

let database: TestDatabase;
let pool: Pool;
let db: Db;
let waiters: RunWaiters;
let errors: unknown[];

const open = (pollMs: number) => {
  errors = [];
  waiters = createRunWaiters({ db, pollMs, onError: (error) => void errors.push(error) });
};

beforeEach(async () => {
  database = await createTestDatabase();
  pool = openPool({ url: database.url, max: 4, applicationName: 'test', onError: () => undefined });
  db = openDb(pool);
  await putAgent(db, 'builder', {});
});
afterEach(async () => {
  waiters.close();
  await db.destroy();
  await database.drop();
});

async function accept(count: number): Promise<string[]> {
  const accept = createAcceptHeartbeat(db);
  const request = { agentName: 'builder', input: {}, idempotencyKey: undefined };
  const accepted = await Promise.all(Array.from({ length: count }, () => accept(request)));
  return accepted.map(({ runId }) => runId);
}

const finish = (ids: string[]) =>
  sql`UPDATE runs SET status = 'ok', finished_at = now() WHERE id = any(${ids}::uuid[])`.execute(
    db,
  );

it('answers every caller of a run from its row when a hint comes', async () => {
  open(NEVER);
  const [id, other] = await accept(2);
  const both = [waiters.wait(id!, LONG), waiters.wait(id!, LONG)];
  const elsewhere = waiters.wait(other!, LONG);
  expect(waiters.count()).toBe(3);
  await finish([id!]);
  waiters.wake([id!]);
  const rows = await Promise.all(both);
  expect(rows[0]).toMatchObject({ id, status: 'ok', finished_at: expect.any(Date) });
  expect(rows[1]).toEqual(rows[0]);
  expect(waiters.count()).toBe(1);
  await finish([other!]);
  waiters.wake([other!]);
  expect(await elsewhere).toMatchObject({ id: other });
});

it('answers with the row that the finishing statement returned, which is the one that stands', async () => {
  open(NEVER);
  const [id] = await accept(1);
  const waiting = waiters.wait(id!, LONG);
  const [claimed] = await claimRuns(db, {
    ids: [id!],
    holder: 'test',
    leaseSeconds: 20,
    maxDeaths: 3,
  });
  const [run] = await finishRuns(db, [
    {
      id: id!,
      epoch: claimed!.epoch,
      status: 'warning',
      summary: 'Done.',
      warnings: ['slow'],
      errors: [],
      touchedIssueUrls: ['https://github.com/acme/app/issues/1'],
      directives: [],
      nextHeartbeatSeconds: 60,
      steps: [{ name: 'load agent', status: 'ok', duration_ms: 3 }],
    },
  ]);
  waiters.answer(run!);
  const answered = await waiting;
  const stored = await db.selectFrom('runs').selectAll().where('id', '=', id!).executeTakeFirst();
  expect(answered).toEqual(stored);
});

it('takes a wrong hint for no answer', async () => {
  open(NEVER);
  const [id] = await accept(1);
  const waiting = waiters.wait(id!, LONG);
  waiters.wake([id!, '01920000-0000-7000-8000-000000000000']);
  // The next read begins after that of the wrong hint has ended.
  await finish([id!]);
  waiters.wake([id!]);
  expect(await waiting).toMatchObject({ id, status: 'ok' });
});

it('loses no hint that comes while it reads', async () => {
  open(NEVER);
  const ids = await accept(50);
  const waiting = ids.map((id) => waiters.wait(id, LONG));
  for (const id of ids) {
    await finish([id]);
    waiters.wake([id]);
  }
  expect((await Promise.all(waiting)).map((run) => run?.id)).toEqual(ids);
});

it('finds by its poll what no hint told of', async () => {
  open(20);
  const [id] = await accept(1);
  const waiting = waiters.wait(id!, LONG);
  await finish([id!]);
  expect(await waiting).toMatchObject({ id, status: 'ok' });
});

it('reads once for a thousand callers', async () => {
  open(NEVER);
  const ids = await accept(1000);
  const waiting = ids.map((id) => waiters.wait(id, LONG));
  await finish(ids);
  let reads = 0;
  pool.on('acquire', () => (reads += 1));
  waiters.wake(ids);
  waiters.wake(ids);
  expect((await Promise.all(waiting)).every((run) => run?.status === 'ok')).toBe(true);
  expect(reads).toBeLessThanOrEqual(2);
});

it('lets go of callers whose time is over, who are gone, or who were never there', async () => {
  open(NEVER);
  const [id] = await accept(1);
  expect(await waiters.wait(id!, { timeoutMs: 10 })).toBeUndefined();

  const controller = new AbortController();
  const gone = waiters.wait(id!, { ...LONG, signal: controller.signal });
  controller.abort();
  expect(await gone).toBeUndefined();
  expect(await waiters.wait(id!, { ...LONG, signal: AbortSignal.abort() })).toBeUndefined();
  expect(waiters.count()).toBe(0);
});

it('keeps the other callers of a run when one of them goes', async () => {
  open(NEVER);
  const [id] = await accept(1);
  const stays = waiters.wait(id!, LONG);
  expect(await waiters.wait(id!, { timeoutMs: 10 })).toBeUndefined();
  await finish([id!]);
  waiters.wake([id!]);
  expect(await stays).toMatchObject({ id });
});

it('answers once a database is back that failed in between', async () => {
  open(20);
  const [id] = await accept(1);
  const waiting = waiters.wait(id!, LONG);
  await sql`ALTER TABLE runs RENAME TO away`.execute(db);
  const failed = Promise.withResolvers<unknown>();
  errors.push = (error) => (failed.resolve(error), 1);
  expect(await failed.promise).toMatchObject({ message: expect.stringContaining('runs') });
  await sql`ALTER TABLE away RENAME TO runs`.execute(db);
  await finish([id!]);
  expect(await waiting).toMatchObject({ id, status: 'ok' });
});

it('lets go of everyone when it closes, also of those who come after', async () => {
  open(NEVER);
  const [id] = await accept(1);
  const waiting = waiters.wait(id!, LONG);
  waiters.close();
  expect(await waiting).toBeUndefined();
  expect(await waiters.wait(id!, LONG)).toBeUndefined();
  expect(waiters.count()).toBe(0);
});
