import { randomUUID } from 'node:crypto';
import { inject } from 'vitest';
import type { RedisServer } from './redisServer.ts';
import { startRedisServer } from './redisServer.ts';

/**
 * The Redis that all test files share: `REDIS_URL`, or the server that the run started. Without one
 * it is undefined and tests that need it skip: `describe.skipIf(!redisUrl())`.
 *
 * Files run side by side on it: each takes its own `redisPrefix()` and touches no other keys. Whoever
 * flushes or kills Redis uses `flushableRedis()`.
 */
export function redisUrl(): string | undefined {
  return inject('redisUrl');
}

/** A key prefix that nobody else has, without `:`; give it to BullMQ as `prefix`. */
export function redisPrefix(): string {
  return `defib-test-${randomUUID()}`;
}

/** A Redis for one test file alone. Skip where `!inject('canStartRedis')`. */
export function flushableRedis(): Promise<RedisServer> {
  return startRedisServer();
}

/** Whether this machine has a redis-server, so that `flushableRedis` can start one. */
export function canStartRedis(): boolean {
  return inject('canStartRedis');
}
