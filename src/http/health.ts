import { Hono } from 'hono';
import type { Deps } from '../deps.ts';
import { checkReadiness } from '../services/health.ts';
import type { AppEnv } from './env.ts';

/** `/healthz`: the process runs. `/readyz`: it can do its work now. Both without a token. */
export function healthRoutes(deps: Deps, isDraining: () => boolean) {
  return new Hono<AppEnv>()
    .get('/healthz', (c) => c.json({ status: 'ok' }))
    .get('/readyz', async (c) => {
      const checks = await checkReadiness({
        db: deps.db,
        pingQueue: () => deps.queues.backend.ping(),
        isDraining,
      });
      const ready = Object.values(checks).every((state) => state === 'ok');
      if (!ready) c.header('Retry-After', '5');
      return c.json({ status: ready ? 'ready' : 'not ready', checks }, ready ? 200 : 503);
    });
}
