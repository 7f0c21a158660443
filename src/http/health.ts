import { createRoute, z } from '@hono/zod-openapi';
import type { Deps } from '../deps.ts';
import { checkReadiness } from '../services/health.ts';
import type { AppOptions } from './app.ts';
import { createRouter, json } from './validation.ts';

const state = z.string().openapi({ description: '"ok", or a few words on what is wrong' });

const readinessSchema = z
  .object({
    status: z.enum(['ready', 'not ready']),
    checks: z.object({
      database: state,
      migrations: state,
      queue: state,
      process: state,
      worker: state.optional().openapi({ description: 'Only of a process that has workers.' }),
    }),
    warnings: z.array(z.string()).openapi({
      description:
        'What keeps work from going on although this process is well. It stays in rotation for them.',
    }),
  })
  .openapi('Readiness');

const alive = createRoute({
  method: 'get',
  path: '/healthz',
  operationId: 'checkAlive',
  tags: ['Operations'],
  summary: 'Whether the process runs',
  responses: { 200: json(z.object({ status: z.literal('ok') }).openapi('Alive'), 'It runs') },
});

const ready = createRoute({
  method: 'get',
  path: '/readyz',
  operationId: 'checkReady',
  tags: ['Operations'],
  summary: 'Whether the process can do its work now',
  description: 'Asks the database and the queue; answers within about two seconds.',
  responses: {
    200: json(readinessSchema, 'It can'),
    503: json(readinessSchema, 'It cannot: checks say why'),
  },
});

/** Both without a token: they are for what starts and balances processes. */
export function healthRoutes(
  deps: Deps,
  { drain, isWorking }: Pick<AppOptions, 'drain' | 'isWorking'>,
) {
  return createRouter()
    .openapi(alive, (c) => c.json({ status: 'ok' as const }, 200))
    .openapi(ready, async (c) => {
      const { checks, warnings } = await checkReadiness({
        db: deps.db,
        pingQueue: () => deps.queues.backend.ping(),
        isDraining: drain.isDraining,
        isWorking,
      });
      if (Object.values(checks).every((check) => check === 'ok')) {
        return c.json({ status: 'ready' as const, checks, warnings }, 200);
      }
      c.header('Retry-After', '5');
      return c.json({ status: 'not ready' as const, checks, warnings }, 503);
    });
}
