import { createRoute, z } from '@hono/zod-openapi';
import { callerSchema } from '../../contract/caller.ts';
import { statusSchema } from '../../contract/status.ts';
import type { Deps } from '../../deps.ts';
import { readStatus } from '../../services/status/read.ts';
import { ENVIRONMENT } from '../../services/tokens/authenticate.ts';
import { requireOperator } from '../auth.ts';
import { bearer, createRouter, json, problems } from '../validation.ts';

const status = createRoute({
  method: 'get',
  path: '/status',
  operationId: 'getStatus',
  tags: ['Operations'],
  summary: 'Who works, what waits, and what needs a person',
  security: bearer,
  request: { query: z.strictObject({}) },
  responses: { 200: json(statusSchema.openapi('Status'), 'Now'), ...problems() },
});

const me = createRoute({
  method: 'get',
  path: '/me',
  operationId: 'getCaller',
  tags: ['Tokens'],
  summary: 'Whom the token of this call stands for',
  security: bearer,
  request: { query: z.strictObject({}) },
  responses: { 200: json(callerSchema.openapi('Caller'), 'It'), ...problems() },
});

export function statusRoutes({ db, sessionSettings }: Pick<Deps, 'db' | 'sessionSettings'>) {
  const router = createRouter();
  router.use('/status', requireOperator);
  return router
    .openapi(status, async (c) => c.json(await readStatus(db, sessionSettings, Date.now()), 200))
    .openapi(me, (c) => {
      const { scope, tokenId, agentName, sessionId } = c.get('principal');
      const id = tokenId === ENVIRONMENT ? null : tokenId;
      return c.json({ scope, tokenId: id, agentName, sessionId }, 200);
    });
}
