import { createRoute, z } from '@hono/zod-openapi';
import type { Deps } from '../../deps.ts';
import { listAuditViews } from '../../services/audit/read.ts';
import { requireOperator } from '../auth.ts';
import {
  agentNameSchema,
  bearer,
  createRouter,
  json,
  pageOf,
  pageQuery,
  problems,
  timestamp,
} from '../validation.ts';

const auditSchema = z
  .object({
    id: z.uuid(),
    at: timestamp,
    actor: z.object({
      scope: z.enum(['operator', 'agent', 'session', 'system', 'stranger']),
      tokenId: z.uuid().nullable(),
      agentName: agentNameSchema.nullable(),
    }),
    action: z.string().openapi({ example: 'token.issue' }),
    target: z.string(),
    details: z.record(z.string(), z.unknown()),
    address: z.string().nullable(),
    requestId: z.string().nullable(),
  })
  .openapi('AuditEntry');

const list = createRoute({
  method: 'get',
  path: '/audit',
  operationId: 'listAudit',
  tags: ['Audit'],
  summary: 'List who changed what, newest first',
  description:
    'Tokens that were issued or revoked, agents and repositories that were changed, sessions that an operator ' +
    'interrupted, and failed attempts to sign in, counted by address.',
  security: bearer,
  request: { query: z.strictObject(pageQuery) },
  responses: { 200: json(pageOf(auditSchema), 'A page of entries'), ...problems() },
});

export function auditRoutes({ db }: Pick<Deps, 'db'>) {
  const router = createRouter();
  router.use('/audit', requireOperator);
  return router.openapi(list, async (c) =>
    c.json(await listAuditViews(db, c.req.valid('query')), 200),
  );
}
