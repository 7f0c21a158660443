import { Redis } from 'ioredis';
import { describe, expect, onTestFinished, test } from 'vitest';
import { canStartRedis, flushableRedis, redisPrefix, redisUrl } from './redis.ts';

function open(url: string): Redis {
  const client = new Redis(url, { retryStrategy: () => null });
  client.on('error', () => undefined);
  onTestFinished(() => client.disconnect());
  return client;
}

test.skipIf(!redisUrl())('the shared Redis never evicts', async () => {
  const client = open(redisUrl()!);
  expect(await client.config('GET', 'maxmemory-policy')).toEqual([
    'maxmemory-policy',
    'noeviction',
  ]);
  expect(redisPrefix()).not.toBe(redisPrefix());
});

describe.skipIf(!canStartRedis())('a Redis of its own', () => {
  test('can be flushed, killed and started again on the same port, empty', async () => {
    const redis = await flushableRedis();
    onTestFinished(redis.stop);
    await open(redis.url).set('key', 'value');
    await redis.flush();
    expect(await open(redis.url).dbsize()).toBe(0);

    await open(redis.url).set('key', 'value');
    await redis.kill();
    await expect(open(redis.url).ping()).rejects.toThrow();

    await redis.start();
    expect(await open(redis.url).dbsize()).toBe(0);
  });

  test('stop ends it', async () => {
    const redis = await flushableRedis();
    await redis.stop();
    await expect(open(redis.url).ping()).rejects.toThrow();
  });
});
