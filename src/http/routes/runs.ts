import { createRoute, z } from '@hono/zod-openapi';
import type { Deps } from '../../deps.ts';
import { getRun, listRunsFor, noSuchRun } from '../../services/runs/read.ts';
import { toRunView } from '../../services/runs/view.ts';
import { mayReadRun, visibleAgent } from '../auth.ts';
import { parsePrefer } from '../prefer.ts';
import { clientGone } from '../request.ts';
import {
  agentNameSchema,
  bearer,
  createRouter,
  idParam,
  idPrefixQuery,
  json,
  pageOf,
  pageQuery,
  problems,
} from '../validation.ts';
import { runSchema } from './schemas.ts';

const one = createRoute({
  method: 'get',
  path: '/runs/{id}',
  operationId: 'getRun',
  tags: ['Runs'],
  summary: 'Read one run',
  description:
    'With "Prefer: wait=N" the request is held open for up to N seconds until the run is finished.',
  security: bearer,
  request: {
    params: idParam,
    headers: z.object({ prefer: z.string().optional().openapi({ example: 'wait=10' }) }),
  },
  responses: { 200: json(runSchema, 'The run'), ...problems(404) },
});

const list = createRoute({
  method: 'get',
  path: '/runs',
  operationId: 'listRuns',
  tags: ['Runs'],
  summary: 'List runs, newest first',
  description: 'An operator sees all; an agent sees its own.',
  security: bearer,
  request: {
    query: z.strictObject({
      ...pageQuery,
      idPrefix: idPrefixQuery,
      agentName: agentNameSchema
        .optional()
        .openapi({ param: { name: 'agentName', in: 'query' }, example: 'builder' }),
      kind: runSchema.shape.kind.optional().openapi({ param: { name: 'kind', in: 'query' } }),
      status: runSchema.shape.status.optional().openapi({ param: { name: 'status', in: 'query' } }),
      sessionId: z
        .uuid('must be a UUID')
        .optional()
        .openapi({ param: { name: 'sessionId', in: 'query' } }),
    }),
  },
  responses: { 200: json(pageOf(runSchema), 'A page of runs'), ...problems() },
});

export function runRoutes(deps: Deps) {
  return createRouter()
    .openapi(list, async (c) => {
      const { limit, cursor, ...filter } = c.req.valid('query');
      const agentName = visibleAgent(c.get('principal'), filter.agentName);
      const page = await listRunsFor(deps.db, { ...filter, agentName }, { limit, cursor });
      return c.json({ items: page.items.map(toRunView), nextCursor: page.nextCursor }, 200);
    })
    .openapi(one, async (c) => {
      const { id } = c.req.valid('param');
      const { waitSeconds } = parsePrefer(c.req.header('prefer'));
      let run = await getRun(deps.db, id);
      // Another agent's run looks like one that does not exist.
      if (!mayReadRun(c.get('principal'), run)) throw noSuchRun(id);
      if (waitSeconds && !run.finished_at) {
        const waiting = deps.waiters.wait(id, {
          timeoutMs: waitSeconds * 1000,
          signal: clientGone(c),
        });
        deps.waiters.wake([id]);
        await waiting;
        run = await getRun(deps.db, id);
      }
      return c.json(toRunView(run), 200);
    });
}
