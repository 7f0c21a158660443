import { sql } from 'kysely';
import type { Pool } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isDatabaseAway } from '../../src/db/away.ts';
import { openDb, openPool } from '../../src/db/connect.ts';
import { findFinishedRuns } from '../../src/db/queries/runs.ts';
import { newId } from '../../src/services/ids.ts';
import { createTestDatabase, type TestDatabase } from '../setup/database.ts';
import { startProxy } from '../setup/proxy.ts';

let database: TestDatabase;
/** One connection, so that what one statement leaves behind, the next one finds. */
let pool: Pool;

beforeAll(async () => {
  database = await createTestDatabase();
  pool = open({ session: true });
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

type Options = { session: boolean; statementMs?: number; url?: string };

function open({ url = database.url, ...options }: Options): Pool {
  return openPool({
    ...options,
    url,
    max: 1,
    applicationName: 'test',
    onError: () => undefined,
  });
}

type Prepared = { name: string; statement: string };

const preparedOn = async (on: Pool): Promise<Prepared[]> =>
  (await on.query<Prepared>('SELECT name, statement FROM pg_prepared_statements')).rows;

async function repeat<T>(times: number, work: () => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let i = 0; i < times; i += 1) results.push(await work());
  return results;
}

test('a statement that comes again is prepared once, by promise and by callback', async () => {
  const text = 'SELECT $1::int + 1 AS sum';
  const results = await repeat(4, () => pool.query<{ sum: number }>(text, [1]));
  expect(results.map(({ rows }) => rows[0]?.sum)).toEqual([2, 2, 2, 2]);
  const byCallback = Promise.withResolvers<number>();
  pool.query<{ sum: number }>(text, [2], (error, result) =>
    error ? byCallback.reject(error) : byCallback.resolve(result.rows[0]?.sum ?? 0),
  );
  expect(await byCallback.promise).toBe(3);
  const prepared = await preparedOn(pool);
  expect(prepared.filter(({ statement }) => statement === text)).toHaveLength(1);
});

test('an error is the caller’s, and the connection goes on', async () => {
  const divide = (by: number) => pool.query('SELECT 1 / $1::int AS quotient', [by]);
  await repeat(3, () => divide(1));
  await expect(divide(0)).rejects.toThrow('division by zero');
  expect((await divide(1)).rows).toEqual([{ quotient: 1 }]);
});

test('a statement that takes too long is ended by the server', async () => {
  const brief = open({ session: true, statementMs: 100 });
  try {
    const slow = await brief.query('SELECT pg_sleep(60)').catch((error: unknown) => error);
    expect(slow).toMatchObject({ message: 'canceling statement due to statement timeout' });
    expect(isDatabaseAway(slow)).toBe(true);
  } finally {
    await brief.end();
  }
});

test('a server that no longer answers is given up, and asked anew once it is back', async () => {
  const proxy = await startProxy(database.url);
  const brief = open({ session: true, statementMs: 2000, url: proxy.url });
  try {
    await brief.query('SELECT 1');
    proxy.stall();
    const lost = await sql`SELECT 1`.execute(openDb(brief)).catch((error: unknown) => error);
    expect(lost).toMatchObject({ message: expect.stringContaining('did not answer') });
    expect(isDatabaseAway(lost)).toBe(true);
    expect(brief.totalCount).toBe(0);
    proxy.restore();
    expect((await brief.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  } finally {
    await brief.end();
    await proxy.close();
  }
});

test('a connection whose session the server ended is not used again', async () => {
  const db = openDb(pool);
  const die = sql`SELECT pg_terminate_backend(pg_backend_pid())`.execute(db);
  await expect(die).rejects.toThrow('terminating connection');
  const { rows } = await sql`SELECT 1 AS one`.execute(db);
  expect(rows).toEqual([{ one: 1 }]);
});

test('whoever listens on a connection hears that the server ended its session', async () => {
  const client = await pool.connect();
  const heard = new Promise<Error>((resolve) => client.once('error', resolve));
  const die = client.query('SELECT pg_terminate_backend(pg_backend_pid())', []);
  await expect(die).rejects.toThrow('terminating connection');
  expect((await heard).message).toContain('terminating connection');
  client.release(true);
});

test('nothing is prepared where a pooler stands between', async () => {
  const pooled = open({ session: false });
  try {
    await repeat(5, () => pooled.query('SELECT $1::int AS pooled', [1]));
    expect(await preparedOn(pooled)).toEqual([]);
    expect((await pooled.query('SHOW enable_seqscan')).rows).toEqual([{ enable_seqscan: 'on' }]);
  } finally {
    await pooled.end();
  }
});

test('a migration that adds a column is noticed, in and out of transactions', async () => {
  await pool.query('CREATE TABLE grows (id int PRIMARY KEY)');
  await pool.query('INSERT INTO grows VALUES (1)');
  const read = async () => (await pool.query('SELECT * FROM grows WHERE id = $1', [1])).rows;
  await repeat(4, read);
  await pool.query(`ALTER TABLE grows ADD COLUMN colour text DEFAULT 'red'`);
  expect(await read()).toEqual([{ id: 1, colour: 'red' }]);

  await repeat(4, read);
  await pool.query(`ALTER TABLE grows ADD COLUMN size int DEFAULT 2`);
  const client = await pool.connect();
  const within = () => client.query('SELECT * FROM grows WHERE id = $1', [1]);
  await client.query('BEGIN');
  await expect(within()).rejects.toThrow('cached plan must not change result type');
  await client.query('ROLLBACK');
  await client.query('BEGIN');
  expect((await within()).rows).toEqual([{ id: 1, colour: 'red', size: 2 }]);
  await client.query('COMMIT');
  client.release();
});

test('a plan that was made for an empty table is not one that reads the whole table', async () => {
  const db = openDb(pool);
  await repeat(12, () => findFinishedRuns(db, [newId()]));
  const isRead = ({ statement }: Prepared) => statement.includes('"finished_at" is not null');
  const { name } = (await preparedOn(pool)).find(isRead) as Prepared;
  const explain = `EXPLAIN EXECUTE ${name}('{${newId()}}')`;
  const { rows } = await pool.query<{ 'QUERY PLAN': string }>(explain);
  const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
  expect(plan).toContain('runs_pkey');
  expect(plan).not.toContain('Seq Scan');
});
