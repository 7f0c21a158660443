import type { HttpBindings } from '@hono/node-server';
import type { Context } from 'hono';
import type { AppEnv } from './env.ts';

/** Whether the request says that a body comes with it. */
export function hasBody(c: Context<AppEnv>): boolean {
  return (
    (c.req.header('content-length') ?? '0') !== '0' ||
    c.req.header('transfer-encoding') !== undefined
  );
}

/**
 * Aborts when the caller hangs up before it is answered. Taken from the socket's response where
 * there is one: the signal of `c.req.raw` would build a whole Request for it.
 */
export function clientGone(c: Context<AppEnv>): AbortSignal {
  const { outgoing } = (c.env ?? {}) as Partial<HttpBindings>;
  if (!outgoing) return c.req.raw.signal;
  const controller = new AbortController();
  outgoing.once('close', () => {
    if (!outgoing.writableFinished) controller.abort();
  });
  return controller.signal;
}
