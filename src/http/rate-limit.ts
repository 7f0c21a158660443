import type { Context, MiddlewareHandler } from 'hono';
import {
  type RateLimiterAbstract,
  RateLimiterMemory,
  RateLimiterRedis,
  RateLimiterRes,
} from 'rate-limiter-flexible';
import type { Redis } from 'ioredis';
import { AppError } from '../errors.ts';
import type { AppEnv } from './env.ts';

export type Limiter = { perMinute: number; counter: RateLimiterAbstract | undefined };

/**
 * Counts each token's requests. With Redis the count is shared by all processes; without, each
 * process counts for itself. A Redis that is down limits nobody less: the process counts then too.
 */
export function createLimiter(options: {
  /** 0: no limit. */
  perMinute: number;
  redis: Redis | undefined;
  prefix: string;
}): Limiter {
  const { perMinute, redis } = options;
  if (perMinute === 0) return { perMinute, counter: undefined };
  const memory = new RateLimiterMemory({ points: perMinute, duration: 60 });
  if (!redis) return { perMinute, counter: memory };
  const counter = new RateLimiterRedis({
    storeClient: redis,
    keyPrefix: `${options.prefix}_rate`,
    points: perMinute,
    duration: 60,
    inMemoryBlockOnConsumed: perMinute + 1,
    insuranceLimiter: memory,
  });
  return { perMinute, counter };
}

/** Refuses the requests of a token beyond its limit. `weigh` says how many one request counts for. */
export function rateLimit(
  { perMinute, counter }: Limiter,
  weigh: (c: Context<AppEnv>) => Promise<number> = () => Promise.resolve(1),
): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    if (c.env?.counted) return next();
    // Also where nothing is limited: it may refuse the request by itself.
    const weight = await weigh(c);
    try {
      await counter?.consume(c.get('principal').tokenId, weight);
    } catch (refused) {
      if (!(refused instanceof RateLimiterRes)) throw refused;
      throw new AppError(
        'rate_limited',
        `This token may make ${perMinute} requests a minute. Wait, then go on; call at the pace of nextHeartbeatSeconds.`,
        { retryAfterSeconds: Math.max(1, Math.ceil(refused.msBeforeNext / 1000)) },
      );
    }
    await next();
  };
}
