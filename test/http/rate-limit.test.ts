import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createTestDatabase } from '../setup/database.ts';
import { canStartRedis, flushableRedis } from '../setup/redis.ts';
import type { RedisServer } from '../setup/redisServer.ts';
import { backends, startService, type TestService } from '../setup/service.ts';

const limited = (perMinute: number) => ({ DEFIB_RATE_LIMIT_PER_MINUTE: String(perMinute) });

/** The status of `count` requests, one after the other. */
async function statuses(service: TestService, token: string, count: number): Promise<number[]> {
  const found: number[] = [];
  for (let at = 0; at < count; at += 1) {
    found.push((await service.call('GET', '/api/runs', { token })).status);
  }
  return found;
}

describe.each(backends)('the rate limit on %s', (backend) => {
  it('refuses a token beyond its limit, says when to come back, and leaves others alone', async () => {
    const service = await startService(backend, { worker: false, env: limited(3) });
    try {
      const token = await service.agentToken('builder');
      expect(await statuses(service, token, 3)).toEqual([200, 200, 200]);
      const refused = await service.call('GET', '/api/runs', { token });
      expect(refused).toMatchObject({ status: 429, body: { status: 429, code: 'rate_limited' } });
      expect(refused.body.detail).toContain('3 requests a minute');
      const retryAfter = Number(refused.headers.get('retry-after'));
      expect(retryAfter).toBeGreaterThan(0);
      expect(retryAfter).toBeLessThanOrEqual(60);

      expect(await statuses(service, await service.agentToken('builder'), 1)).toEqual([200]);
      expect((await service.call('GET', '/healthz', { token: null })).status).toBe(200);
    } finally {
      await service.stop();
    }
  });

  it('counts a call of a tool once, though it is two requests within', async () => {
    const service = await startService(backend, { env: limited(2) });
    try {
      const token = await service.agentToken('builder');
      const claim = () =>
        service.call('POST', '/mcp', {
          token,
          headers: { Accept: 'application/json, text/event-stream' },
          body: { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'claim' } },
        });
      for (const answer of [await claim(), await claim()]) {
        expect(answer.status).toBe(200);
        expect(answer.text).toContain('"claimed":false');
      }
      expect(await claim()).toMatchObject({ status: 429, body: { code: 'rate_limited' } });
    } finally {
      await service.stop();
    }
  });

  it('counts a batch of calls as so many, and takes no batch without end', async () => {
    const service = await startService(backend, { env: limited(10) });
    try {
      const token = await service.agentToken('builder');
      const batch = (count: number) =>
        service.call('POST', '/mcp', {
          token,
          headers: { Accept: 'application/json, text/event-stream' },
          body: Array.from({ length: count }, (_, id) => ({ jsonrpc: '2.0', id, method: 'ping' })),
        });
      expect((await batch(6)).status).not.toBe(429);
      expect(await batch(6)).toMatchObject({ status: 429, body: { code: 'rate_limited' } });
      expect(await batch(51)).toMatchObject({ status: 413, body: { code: 'too_large' } });
    } finally {
      await service.stop();
    }
  });

  it('is off at 0', async () => {
    const service = await startService(backend, { worker: false, env: limited(0) });
    try {
      const found = await statuses(service, await service.agentToken('builder'), 10);
      expect(found).toEqual(Array(10).fill(200));
    } finally {
      await service.stop();
    }
  });
});

describe.skipIf(!backends.includes('redis'))('the rate limit of several processes', () => {
  it('is shared over Redis', async () => {
    const database = await createTestDatabase();
    const first = await startService('redis', { database, worker: false, env: limited(4) });
    const second = await startService('redis', { database, worker: false, env: first.env });
    try {
      const token = await first.agentToken('builder');
      expect(await statuses(first, token, 3)).toEqual([200, 200, 200]);
      expect(await statuses(second, token, 2)).toEqual([200, 429]);
      expect(await statuses(first, token, 1)).toEqual([429]);
    } finally {
      await Promise.all([first.stop(), second.stop()]);
      await database.drop();
    }
  });
});

describe.skipIf(!canStartRedis())('the rate limit without its Redis', () => {
  let redis: RedisServer;
  let service: TestService;
  beforeEach(async () => {
    redis = await flushableRedis();
    const env = { REDIS_URL: redis.url, ...limited(3) };
    service = await startService('redis', { worker: false, env });
  });
  afterEach(async () => {
    await service.stop();
    await redis.stop();
  });

  it('counts in the process when Redis is gone', async () => {
    const token = await service.agentToken('builder');
    expect(await statuses(service, token, 1)).toEqual([200]);
    await redis.kill();
    expect(await statuses(service, token, 4)).toEqual([200, 200, 200, 429]);
  });

  it('does not hold callers up when Redis hangs', async () => {
    const token = await service.agentToken('builder');
    expect(await statuses(service, token, 1)).toEqual([200]);
    const admin = new Redis(redis.url);
    await admin.call('CLIENT', 'PAUSE', '4000', 'ALL');
    admin.disconnect();
    const started = performance.now();
    expect(await statuses(service, token, 1)).toEqual([200]);
    expect(performance.now() - started).toBeLessThan(3000);
  });
});
