import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { text } from 'node:stream/consumers';
import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { type Db, openDb, openPool } from '../../src/db/connect.ts';
import { migrate, pendingMigrations, QUEUE_SCHEMA } from '../../src/db/migrate.ts';
import { databaseUrl, onServer } from '../setup/database.ts';

let url: string;
let drop: () => Promise<void>;
let db: Db;

/** An empty database: nothing is migrated. */
beforeEach(async () => {
  const { adminUrl, template } = inject('database');
  const name = `${template}_${randomBytes(5).toString('hex')}`;
  const admin = (statement: string) =>
    onServer(adminUrl, async (client) => void (await client.query(statement)));
  await admin(`CREATE DATABASE ${name} TEMPLATE template0`);
  drop = () => admin(`DROP DATABASE ${name} WITH (FORCE)`);
  url = databaseUrl(adminUrl, name);
  db = openDb(openPool({ url, max: 2, applicationName: 'test', onError: () => undefined }));
});
afterEach(async () => {
  await db.destroy();
  await drop();
});

const tables = async (schema: string) => {
  const { rows } = await sql<{ name: string }>`
    SELECT table_name AS name FROM information_schema.tables
    WHERE table_schema = ${schema} ORDER BY 1`.execute(db);
  return rows.map(({ name }) => name);
};
const applied = async () => {
  const { rows } = await sql<{ name: string }>`SELECT name FROM kysely_migration`.execute(db);
  return rows.map(({ name }) => name).sort();
};

/** Runs `npm run release` on the database, as a deployment does. */
async function release() {
  const script = fileURLToPath(new URL('../../src/release.ts', import.meta.url));
  const child = spawn(process.execPath, [script], {
    env: { DATABASE_URL: url, DEFIB_OPERATOR_TOKEN: 'test-operator-token' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [stdout, stderr, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise((resolve) => void child.once('exit', resolve)),
  ]);
  return { stdout, stderr, code };
}

describe('migrate', () => {
  it('brings an empty database to the newest schema, and then finds nothing to do', async () => {
    const { applied: first } = await migrate(url, { queues: true });
    expect(first.length).toBeGreaterThan(0);
    expect(await applied()).toEqual([...first].sort());
    expect(await tables(QUEUE_SCHEMA)).toContain('job');
    expect(await pendingMigrations(db)).toEqual([]);
    expect(await migrate(url, { queues: true })).toEqual({ applied: [] });
  });

  it("leaves the queue's tables out where Redis is the queue", async () => {
    await migrate(url, { queues: false });
    expect(await tables('public')).toContain('runs');
    expect(await tables(QUEUE_SCHEMA)).toEqual([]);
  });

  it('does each migration once when ten connections do it at the same time', async () => {
    const results = await Promise.all(
      Array.from({ length: 10 }, () => migrate(url, { queues: true })),
    );
    expect(results.filter((result) => result.applied.length > 0)).toHaveLength(1);
    expect(await pendingMigrations(db)).toEqual([]);
  });

  it.each([2, 10])(
    'does each once when %i processes do it',
    { timeout: 120_000 },
    async (count) => {
      const results = await Promise.all(Array.from({ length: count }, release));
      expect(results.map(({ code, stderr }) => ({ code, stderr }))).toEqual(
        results.map(() => ({ code: 0, stderr: '' })),
      );
      expect(results.filter(({ stdout }) => stdout.includes('Migrated:'))).toHaveLength(1);
      expect(results.filter(({ stdout }) => stdout.includes('up to date'))).toHaveLength(count - 1);
      expect(await pendingMigrations(db)).toEqual([]);
      expect(await tables(QUEUE_SCHEMA)).toContain('job');
    },
  );

  it('refuses a database that a newer version has migrated, and changes nothing', async () => {
    await migrate(url, { queues: false });
    await sql`INSERT INTO kysely_migration VALUES ('9999_from_the_future', now())`.execute(db);
    const before = await applied();
    await expect(migrate(url, { queues: true })).rejects.toMatchObject({
      name: 'AppError',
      code: 'conflict',
      message: expect.stringMatching(/newer version .*9999_from_the_future/),
    });
    expect(await applied()).toEqual(before);
    expect(await tables(QUEUE_SCHEMA)).toEqual([]);

    const { code, stderr } = await release();
    expect(code).toBe(1);
    expect(stderr).toContain('9999_from_the_future');
    expect(stderr).not.toContain('    at ');
  });

  it('leaves nothing of a migration that fails half-way, and does it later', async () => {
    // The first migration makes this table last, after all others.
    await sql`CREATE TABLE run_steps (in_the_way int)`.execute(db);
    await expect(migrate(url, { queues: true })).rejects.toThrow('run_steps');
    expect(await tables('public')).toEqual([
      'kysely_migration',
      'kysely_migration_lock',
      'run_steps',
    ]);
    expect(await applied()).toEqual([]);
    expect(await tables(QUEUE_SCHEMA)).toEqual([]);

    await sql`DROP TABLE run_steps`.execute(db);
    await migrate(url, { queues: true });
    expect(await pendingMigrations(db)).toEqual([]);
  });

  it("leaves nothing of the queue's migrations that fail half-way, and does them later", async () => {
    await sql`CREATE SCHEMA bullmq`.execute(db);
    await sql`CREATE TABLE bullmq.scheduler (in_the_way int)`.execute(db);
    await expect(migrate(url, { queues: true })).rejects.toThrow('scheduler');
    expect(await tables(QUEUE_SCHEMA)).not.toContain('job');
    await sql`DROP TABLE bullmq.scheduler`.execute(db);
    await migrate(url, { queues: true });
    expect(await tables(QUEUE_SCHEMA)).toContain('scheduler');
  });

  it('goes on after a process that held the lock was killed', async () => {
    const { adminUrl } = inject('database');
    const holder = openPool({ url, max: 1, applicationName: 'dead', onError: () => undefined });
    await holder.query('SELECT pg_advisory_lock(47002026)');
    const waiting = migrate(url, { queues: false });
    await onServer(adminUrl, async (client) => {
      for (let found = 0; found === 0;) {
        const { rowCount } = await client.query(
          `SELECT FROM pg_stat_activity WHERE application_name = 'defib-migrate'
            AND wait_event = 'advisory' AND datname = $1`,
          [new URL(url).pathname.slice(1)],
        );
        found = rowCount ?? 0;
      }
      await client.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dead'",
      );
    });
    expect((await waiting).applied.length).toBeGreaterThan(0);
    await holder.end();
  });
});
