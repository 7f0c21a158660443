import { sql } from 'kysely';
import { afterEach, describe, expect, it } from 'vitest';
import { createTestDatabase } from '../setup/database.ts';
import { startProxy } from '../setup/proxy.ts';
import { canStartRedis, flushableRedis } from '../setup/redis.ts';
import { type BackendKind, backends, startService, type TestService } from '../setup/service.ts';
import { until } from '../setup/until.ts';

/** "Within a few seconds", with room for a machine that does much else. */
const SOON_MS = 5000;

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function startApi(backend: BackendKind, env: Record<string, string> = {}) {
  const service = await startService(backend, { worker: false, env });
  closers.push(service.stop);
  return service;
}

/** A service that reaches its database through a proxy, by which it can be taken away. */
async function startBehindProxy() {
  const database = await createTestDatabase();
  closers.push(database.drop);
  const proxy = await startProxy(database.url);
  closers.push(proxy.close);
  const env = { DATABASE_URL: proxy.url };
  const service = await startService('postgres', { worker: false, database, env });
  closers.push(service.stop);
  // Before the service stops it must be able to reach what it closes.
  closers.push(() => Promise.resolve(proxy.restore()));
  return { service, proxy };
}

const ready = (service: TestService) => service.call('GET', '/readyz', { token: null });

/** The answer of `/readyz`, which must come soon. */
async function readySoon(service: TestService) {
  const started = performance.now();
  const answer = await ready(service);
  expect(performance.now() - started).toBeLessThan(SOON_MS);
  return answer;
}

const isReady = async (service: TestService) => (await ready(service)).status === 200;

describe.each(backends)('on %s', (backend) => {
  it('/healthz and /readyz answer without a token', async () => {
    const service = await startApi(backend);
    expect(await service.call('GET', '/healthz', { token: null })).toMatchObject({
      status: 200,
      body: { status: 'ok' },
    });
    const answer = await ready(service);
    expect(answer).toMatchObject({ status: 200, body: { status: 'ready' } });
    expect(answer.body.checks).toEqual({
      database: 'ok',
      migrations: 'ok',
      queue: 'ok',
      process: 'ok',
    });
    expect(answer.headers.get('retry-after')).toBeNull();
  });
});

describe('/readyz', () => {
  it.each(['cut', 'stall'] as const)(
    'says so when the database is gone (%s), and when it is back',
    async (how) => {
      const { service, proxy } = await startBehindProxy();
      expect(await isReady(service)).toBe(true);
      proxy[how]();
      const answer = await readySoon(service);
      expect(answer).toMatchObject({ status: 503, body: { status: 'not ready' } });
      expect(answer.body.checks).toMatchObject({
        database: expect.stringContaining('does not answer'),
        migrations: 'unknown',
      });
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
      expect((await service.call('GET', '/healthz', { token: null })).status).toBe(200);
      proxy.restore();
      await until('the service is ready again', () => isReady(service));
    },
  );

  it.skipIf(!canStartRedis())('says so when the queue is gone, and when it is back', async () => {
    const redis = await flushableRedis();
    closers.push(redis.stop);
    const service = await startApi('redis', { REDIS_URL: redis.url });
    await redis.kill();
    const answer = await readySoon(service);
    expect(answer).toMatchObject({
      status: 503,
      body: { checks: { database: 'ok', queue: 'does not answer' } },
    });
    await redis.start();
    await until('the service is ready again', () => isReady(service));
  });

  it('names the migrations that are pending', async () => {
    const service = await startApi('postgres');
    const { rows } = await sql<{ name: string }>`
      DELETE FROM kysely_migration WHERE name = (SELECT max(name) FROM kysely_migration)
      RETURNING name`.execute(service.started.deps.db);
    expect(await ready(service)).toMatchObject({
      status: 503,
      body: { checks: { database: 'ok', migrations: `pending: ${rows[0]!.name}` } },
    });
  });

  it('wants no new callers while the process drains', async () => {
    const service = await startService('postgres', {
      worker: false,
      env: { DEFIB_DRAIN_SECONDS: '2' },
    });
    const token = await service.agentToken('builder');
    const held = service.call('POST', '/api/agents/builder/heartbeat', { token });
    await until('the caller is held open', () => service.started.deps.waiters.count() === 1);
    const stopped = service.stop();
    const answer = await service.started.http!.app.request('/readyz');
    expect(answer.status).toBe(503);
    expect(await answer.json()).toMatchObject({ checks: { database: 'ok', process: 'draining' } });
    expect(await held).toMatchObject({ status: 202 });
    await stopped;
  });
});

it('the API answers 503 while the database is gone', async () => {
  const { service, proxy } = await startBehindProxy();
  proxy.cut();
  const answer = await service.call('GET', '/api/agents');
  expect(answer).toMatchObject({ status: 503, body: { code: 'unavailable' } });
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(answer.text).not.toMatch(/ECONN|127\.0\.0\.1/);
});
