import { randomUUID } from 'node:crypto';
import { inject } from 'vitest';
import type { RedisServer } from './redisServer.ts';
import { startRedisServer } from './redisServer.ts';

/**
 * The Redis that all test files share: `REDIS_URL`, or the server that the run started. Undefined
 * where there is none, and tests that need it skip: `describe.skipIf(!redisUrl())`.
 *
 * Files run side by side on it. Each takes a `redisPrefix()` of its own and touches no other key;
 * whoever flushes or kills Redis uses `flushableRedis()`.
 */
export function redisUrl(): string | undefined {
  return inject('redis').url;
}

/** A key prefix that nobody else has, fit for BullMQ's `prefix`. */
export function redisPrefix(): string {
  return `defib-test-${randomUUID()}`;
}

/** Whether `flushableRedis` can work: `describe.skipIf(!canStartRedis())`. */
export function canStartRedis(): boolean {
  return inject('redis').canStart;
}

/** A Redis for one test file alone, which may flush, kill and restart it, and must stop it. */
export function flushableRedis(): Promise<RedisServer> {
  return startRedisServer();
}
