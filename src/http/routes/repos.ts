import { createRoute, z } from '@hono/zod-openapi';
import type { Deps } from '../../deps.ts';
import { getRepo, listRepoViews, putRepo, untrackRepo } from '../../services/repos/manage.ts';
import { actorOf, requireOperator } from '../auth.ts';
import {
  bearer,
  createRouter,
  json,
  ownerSchema,
  pageOf,
  pageQuery,
  problems,
  repoNameSchema,
  timestamp,
} from '../validation.ts';

const params = z.object({
  owner: ownerSchema.openapi({ param: { name: 'owner', in: 'path' } }),
  name: repoNameSchema.openapi({ param: { name: 'name', in: 'path' } }),
});

const repoSchema = z
  .object({
    owner: ownerSchema,
    name: repoNameSchema,
    syncedAt: timestamp.nullable(),
    failure: z
      .object({ kind: z.string(), message: z.string(), nextAttemptAt: timestamp.nullable() })
      .nullable(),
    createdAt: timestamp,
  })
  .openapi('Repository');

const one = {
  path: '/repos/{owner}/{name}' as const,
  tags: ['Repositories'],
  security: bearer,
};

const put = createRoute({
  ...one,
  method: 'put',
  operationId: 'putRepo',
  summary: 'Track a repository',
  description: 'For one that is tracked already, the next heartbeat tries a failed sync again.',
  request: { params },
  responses: { 200: json(repoSchema, 'The repository'), ...problems() },
});

const get = createRoute({
  ...one,
  method: 'get',
  operationId: 'getRepo',
  summary: 'Read a tracked repository, and how its last sync went',
  request: { params },
  responses: { 200: json(repoSchema, 'The repository'), ...problems(404) },
});

const remove = createRoute({
  ...one,
  method: 'delete',
  operationId: 'deleteRepo',
  summary: 'Stop tracking a repository',
  description: 'Its stored issues and claims are deleted; nothing is changed on GitHub.',
  request: { params },
  responses: { 204: { description: 'No longer tracked' }, ...problems(404) },
});

const list = createRoute({
  method: 'get',
  path: '/repos',
  operationId: 'listRepos',
  tags: ['Repositories'],
  summary: 'List tracked repositories, newest first',
  security: bearer,
  request: { query: z.strictObject(pageQuery) },
  responses: { 200: json(pageOf(repoSchema), 'A page of repositories'), ...problems() },
});

export function repoRoutes({ db }: Pick<Deps, 'db'>) {
  const router = createRouter();
  router.use('/repos', requireOperator);
  router.use('/repos/*', requireOperator);
  return router
    .openapi(put, async (c) => c.json(await putRepo(db, c.req.valid('param'), actorOf(c)), 200))
    .openapi(get, async (c) => c.json(await getRepo(db, c.req.valid('param')), 200))
    .openapi(remove, async (c) => {
      await untrackRepo(db, c.req.valid('param'), actorOf(c));
      return c.body(null, 204);
    })
    .openapi(list, async (c) => c.json(await listRepoViews(db, c.req.valid('query')), 200));
}
