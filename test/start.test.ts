import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pickPort } from '../src/db/embedded/port.ts';
import { createTestDatabase, databaseUrl, type TestDatabase } from './setup/database.ts';
import { type Failure, runFailing } from './setup/failing.ts';
import { canStartRedis, flushableRedis } from './setup/redis.ts';

const quiet = { DEFIB_LOG_LEVEL: 'silent', PORT: '0' };
const secret = 'hunter2secret';

/** It ended at once with code 1, and told a person why: no stack, no log line, no secret. */
function expectReadable({ code, stderr, output }: Failure, reason: RegExp): void {
  expect(stderr).toMatch(reason);
  expect(stderr).toMatch(/^defib could not start\.\n/);
  expect(output).not.toMatch(/^\s+at |node:internal|\.ts:\d/m);
  expect(output).not.toContain(secret);
  expect(stderr.split('\n').length).toBeLessThan(12);
  expect(code).toBe(1);
}

describe('a process that cannot start ends with code 1 and says why', () => {
  let database: TestDatabase;
  let closedPort: number;
  let taken: Server;
  let takenPort: number;

  beforeAll(async () => {
    database = await createTestDatabase();
    closedPort = await pickPort(undefined);
    taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    takenPort = (taken.address() as AddressInfo).port;
  });
  afterAll(async () => {
    taken.close();
    await database.drop();
  });

  it('with mistakes in the configuration', async () => {
    const env = { PORT: 'abc', DEFIB_MAX_QUEUED: '-1', REDIS_URL: `http://:${secret}@redis` };
    const failure = await runFailing('main', env);
    expectReadable(failure, /4 mistake\(s\)/);
    for (const name of ['PORT', 'DEFIB_MAX_QUEUED', 'REDIS_URL']) {
      expect(failure.stderr).toContain(`  - ${name} `);
    }
  });

  it('with no DATABASE_URL where one is needed', async () => {
    const failure = await runFailing('web', quiet);
    expectReadable(failure, /DATABASE_URL is needed by "npm run web"/);
  });

  it.each(['main', 'web', 'release'] as const)(
    '%s with a database that cannot be reached',
    async (entry) => {
      const DATABASE_URL = `postgres://defib:${secret}@127.0.0.1:${closedPort}/defib`;
      const failure = await runFailing(entry, { ...quiet, DATABASE_URL });
      expectReadable(failure, /PostgreSQL at 127\.0\.0\.1:\d+ cannot be used: .*ECONNREFUSED/);
    },
  );

  it('with a database that does not exist', async () => {
    const DATABASE_URL = databaseUrl(database.url, 'no_such_database');
    const failure = await runFailing('web', { ...quiet, DATABASE_URL });
    expectReadable(failure, /has no database "no_such_database"/);
  });

  // With workers in the same process, which must let go of their connections.
  it('with a port in use', async () => {
    const env = { ...quiet, DATABASE_URL: database.url, PORT: String(takenPort) };
    const failure = await runFailing('main', env);
    expectReadable(failure, new RegExp(`Port ${takenPort} on 127\\.0\\.0\\.1 is in use`));
  });

  it('with an address of another machine', async () => {
    const env = { ...quiet, DATABASE_URL: database.url, HOST: '192.0.2.1' };
    expectReadable(await runFailing('web', env), /Cannot listen on 192\.0\.2\.1:0.*Set HOST/);
  });

  it.skipIf(!canStartRedis()).concurrent('with a Redis that would drop jobs', async () => {
    const redis = await flushableRedis();
    try {
      const admin = new Redis(redis.url);
      await admin.config('SET', 'maxmemory-policy', 'allkeys-lru');
      admin.disconnect();
      const env = { ...quiet, DATABASE_URL: database.url, REDIS_URL: redis.url };
      const failure = await runFailing('worker', env);
      expectReadable(failure, /maxmemory-policy "allkeys-lru".*noeviction/s);
    } finally {
      await redis.stop();
    }
  });

  // Redis may be a little late, so this one takes ten seconds.
  it.concurrent('with a Redis that cannot be reached', async () => {
    const REDIS_URL = `redis://:${secret}@127.0.0.1:${closedPort}`;
    const env = { ...quiet, DATABASE_URL: database.url, REDIS_URL };
    expectReadable(await runFailing('web', env), /Redis at REDIS_URL cannot be used/);
  });
});
