import { createRoute, z } from '@hono/zod-openapi';
import type { MiddlewareHandler } from 'hono';
import { submitHeartbeat } from '../../jobs/heartbeat.ts';
import { createAcceptHeartbeat } from '../../services/heartbeat/accept.ts';
import type { Pressure } from '../../services/runs/pressure.ts';
import { toHeartbeatView } from '../../services/runs/view.ts';
import { assertMayActFor } from '../auth.ts';
import type { Deps } from '../../deps.ts';
import type { AppEnv } from '../env.ts';
import { acceptedRun, DEFAULT_WAIT_SECONDS, holdOpen } from '../held-open.ts';
import { MAX_WAIT_SECONDS, parsePrefer } from '../prefer.ts';
import { hasBody } from '../request.ts';
import {
  agentNameParam,
  bearer,
  createRouter,
  json,
  jsonBody,
  problems,
  storableText,
} from '../validation.ts';
import { acceptedSchema, heartbeatSchema } from './schemas.ts';

const body = z
  .strictObject({
    sessionId: z.uuid('must be a UUID').optional(),
    turn: z.number().int().min(0).max(1_000_000_000).optional(),
    note: storableText(4000).optional(),
  })
  .openapi('HeartbeatRequest');

const headers = z.object({
  'idempotency-key': storableText(255)
    .min(1)
    .optional()
    .openapi({ description: 'The same key and body give the same run; another body is refused.' }),
  prefer: z.string().optional().openapi({ example: 'wait=10' }),
});

const route = createRoute({
  method: 'post',
  path: '/agents/{agentName}/heartbeat',
  operationId: 'heartbeat',
  tags: ['Heartbeat'],
  summary: 'Make one recorded pass for an agent',
  description:
    'Synchronises and reconciles what the agent works on, records the pass as a run, and answers ' +
    `with its result. The request is held open until the pass is done, ${DEFAULT_WAIT_SECONDS} s at most ` +
    `unless "Prefer: wait=N" (0 to ${MAX_WAIT_SECONDS}) or "Prefer: respond-async" says otherwise; what is ` +
    'not done by then is answered with 202 and the address of the run.',
  security: bearer,
  request: {
    params: agentNameParam,
    headers,
    body: jsonBody(body, false),
  },
  responses: {
    200: json(heartbeatSchema, 'The pass ran. "error" means that a critical step failed.'),
    202: json(acceptedSchema, 'Accepted and not done yet: ask at Location.'),
    ...problems(400, 404, 409, 413),
  },
});

export function heartbeatRoutes(deps: Deps, pressure: Pressure) {
  const router = createRouter();
  router.use('/agents/:agentName/heartbeat', emptyBodyIsNoBody);
  const submitDeps = {
    accept: createAcceptHeartbeat(deps.db, deps.config.maxQueuedPerAgent),
    queues: deps.queues,
    origin: deps.instance,
    onEnqueueError: (error: unknown) =>
      deps.log.warn({ err: error }, 'could not enqueue a run; the sweep will'),
  };

  return router.openapi(route, async (c) => {
    const { agentName } = c.req.valid('param');
    assertMayActFor(c.get('principal'), agentName);
    const prefer = parsePrefer(c.req.header('prefer'));
    await pressure.check('heartbeats');
    const { runId, created } = await submitHeartbeat(submitDeps, {
      agentName,
      input: c.req.valid('json'),
      idempotencyKey: c.req.valid('header')['idempotency-key'],
    });
    const run = await holdOpen(c, deps.waiters, { id: runId, created }, prefer);
    if (run) return c.json(toHeartbeatView(run, deps.config.heartbeatSeconds), 200);
    return c.json(acceptedRun(c, runId, agentName), 202);
  });
}

/** Many clients send "Content-Type: application/json" with nothing behind it; the body is optional. */
const emptyBodyIsNoBody: MiddlewareHandler<AppEnv> = async (c, next) => {
  if (!hasBody(c) && c.req.header('content-type') !== undefined) {
    const headers = new Headers(c.req.raw.headers);
    headers.delete('content-type');
    c.req.raw = new Request(c.req.raw, { headers });
  }
  await next();
};
