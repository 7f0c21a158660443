import type { MiddlewareHandler } from 'hono';
import { AppError } from '../errors.ts';
import type { AppEnv } from './env.ts';
import { toProblem } from './problem.ts';

/** Go on answering until the end: they say what the process does. */
const OPEN = new Set(['/healthz', '/readyz', '/metrics']);

const RETRY_AFTER_SECONDS = 2;

export type Drain = {
  /** Lets callers in, and tells them to come back while we drain. */
  guard: MiddlewareHandler<AppEnv>;
  begin(): void;
  isDraining(): boolean;
  /** Whether callers that were let in are still waiting for their answer. */
  isBusy(): boolean;
  /** Milliseconds since the last request came. */
  quietMs(): number;
};

export function createDrain(now: () => number): Drain {
  let draining = false;
  let busy = 0;
  let lastAt = now();
  return {
    begin: () => (draining = true),
    isDraining: () => draining,
    isBusy: () => busy > 0,
    quietMs: () => now() - lastAt,
    guard: async (c, next) => {
      lastAt = now();
      if (draining && !c.env?.counted && !OPEN.has(c.req.path)) {
        const away =
          'This process is stopping. Try again: another one answers, or this one when it is back.';
        const error = new AppError('unavailable', away, { retryAfterSeconds: RETRY_AFTER_SECONDS });
        const response = toProblem(error, c);
        response.headers.set('Connection', 'close');
        return response;
      }
      busy += 1;
      try {
        await next();
      } finally {
        busy -= 1;
      }
      // Whoever keeps the connection would send its next request while we close it.
      if (draining) c.res.headers.set('Connection', 'close');
      return undefined;
    },
  };
}
