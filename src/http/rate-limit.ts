import type { MiddlewareHandler } from 'hono';
import {
  type RateLimiterAbstract,
  RateLimiterMemory,
  RateLimiterRedis,
  RateLimiterRes,
} from 'rate-limiter-flexible';
import type { Redis } from 'ioredis';
import { AppError } from '../errors.ts';
import type { AppEnv } from './env.ts';

/**
 * Limits each token's requests. With Redis the count is shared by all processes; without, each
 * process counts for itself. A Redis that is down limits nobody less: the process counts then too.
 */
export function rateLimit(options: {
  perMinute: number;
  redis: Redis | undefined;
  prefix: string;
}): MiddlewareHandler<AppEnv> {
  if (options.perMinute === 0) return (_c, next) => next();
  const limiter = createLimiter(options);
  return async (c, next) => {
    if (c.env?.counted) return next();
    try {
      await limiter.consume(c.get('principal').tokenId);
    } catch (refused) {
      if (!(refused instanceof RateLimiterRes)) throw refused;
      throw new AppError(
        'rate_limited',
        `This token may make ${options.perMinute} requests a minute. Wait, then go on; call at the pace of nextHeartbeatSeconds.`,
        { retryAfterSeconds: Math.max(1, Math.ceil(refused.msBeforeNext / 1000)) },
      );
    }
    await next();
  };
}

function createLimiter(options: {
  perMinute: number;
  redis: Redis | undefined;
  prefix: string;
}): RateLimiterAbstract {
  const memory = new RateLimiterMemory({ points: options.perMinute, duration: 60 });
  if (!options.redis) return memory;
  return new RateLimiterRedis({
    storeClient: options.redis,
    keyPrefix: `${options.prefix}_rate`,
    points: options.perMinute,
    duration: 60,
    inMemoryBlockOnConsumed: options.perMinute + 1,
    insuranceLimiter: memory,
  });
}
