import { createRoute, z } from '@hono/zod-openapi';
import type { Deps } from '../../deps.ts';
import { issueToken } from '../../services/tokens/issue.ts';
import { listTokenInfos, revokeToken } from '../../services/tokens/manage.ts';
import { toTokenInfo } from '../../services/tokens/view.ts';
import { actorOf, requireOperator } from '../auth.ts';
import {
  agentNameSchema,
  bearer,
  createRouter,
  idParam,
  json,
  jsonBody,
  pageOf,
  pageQuery,
  problems,
  timestamp,
} from '../validation.ts';

const tokenSchema = z
  .object({
    id: z.uuid(),
    scope: z.enum(['operator', 'agent', 'session']),
    agentName: agentNameSchema.nullable(),
    sessionId: z.uuid().nullable(),
    createdAt: timestamp,
    expiresAt: timestamp.nullable(),
    revokedAt: timestamp.nullable(),
    lastUsedAt: timestamp.nullable(),
  })
  .openapi('Token');

const create = createRoute({
  method: 'post',
  path: '/tokens',
  operationId: 'issueToken',
  tags: ['Tokens'],
  summary: 'Issue a token',
  description:
    'The token is shown this once. Issuing a token for an agent that does not exist creates it:\n\n' +
    '```sh\n' +
    'curl -X POST -H "Authorization: Bearer $OPERATOR_TOKEN" -H "Content-Type: application/json" \\\n' +
    '  -d \'{"scope": "agent", "agentName": "builder"}\' $DEFIB_URL/api/tokens\n' +
    '```',
  security: bearer,
  request: {
    body: jsonBody(
      z
        .strictObject({
          scope: z.enum(['operator', 'agent'], 'must be "operator" or "agent"'),
          agentName: agentNameSchema.optional(),
          expiresAt: z.iso
            .datetime({ offset: true, message: 'must be an ISO 8601 time with a zone' })
            .optional(),
        })
        .openapi('IssueToken'),
    ),
  },
  responses: {
    201: json(tokenSchema.extend({ token: z.string() }).openapi('IssuedToken'), 'The new token'),
    ...problems(400, 409, 413),
  },
});

const list = createRoute({
  method: 'get',
  path: '/tokens',
  operationId: 'listTokens',
  tags: ['Tokens'],
  summary: 'List tokens, newest first',
  security: bearer,
  request: { query: z.strictObject(pageQuery) },
  responses: { 200: json(pageOf(tokenSchema), 'A page of tokens'), ...problems() },
});

const remove = createRoute({
  method: 'delete',
  path: '/tokens/{id}',
  operationId: 'revokeToken',
  tags: ['Tokens'],
  summary: 'Revoke a token',
  description: 'Takes effect within two seconds everywhere.',
  security: bearer,
  request: { params: idParam },
  responses: { 204: { description: 'Revoked' }, ...problems(404) },
});

export function tokenRoutes({ db }: Pick<Deps, 'db'>) {
  const router = createRouter();
  router.use('/tokens', requireOperator);
  router.use('/tokens/*', requireOperator);
  return router
    .openapi(create, async (c) => {
      const { scope, agentName, expiresAt } = c.req.valid('json');
      const { token, view } = await issueToken(
        db,
        {
          scope,
          agentName,
          expiresAt: expiresAt === undefined ? undefined : new Date(expiresAt),
        },
        actorOf(c),
      );
      return c.json({ ...toTokenInfo(view), token }, 201);
    })
    .openapi(list, async (c) => c.json(await listTokenInfos(db, c.req.valid('query')), 200))
    .openapi(remove, async (c) => {
      await revokeToken(db, c.req.valid('param').id, actorOf(c));
      return c.body(null, 204);
    });
}
