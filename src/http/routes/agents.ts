import { createRoute, z } from '@hono/zod-openapi';
import type { Deps } from '../../deps.ts';
import { setupSchema } from '../../contract/setup.ts';
import type { Agent } from '../../db/schema.ts';
import { putAgent } from '../../services/agents/put.ts';
import { getAgent, listAgentViews, viewAgents } from '../../services/agents/read.ts';
import { placeholderProblem } from '../../services/spawners/placeholders.ts';
import { actorOf, requireOperator } from '../auth.ts';
import {
  agentNameParam,
  agentNameSchema,
  bearer,
  createRouter,
  fullRepoNameSchema,
  json,
  jsonBody,
  pageOf,
  pageQuery,
  parseRepoName,
  problems,
  storableText,
  timestamp,
} from '../validation.ts';

const spawnerSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('pull') }),
  z.strictObject({
    type: z.literal('command'),
    command: z
      .array(storableText(32_768))
      .min(1, 'must name a program')
      .max(200)
      .refine(([program]) => program !== '', 'must name a program')
      .superRefine((command, context) => {
        const message = placeholderProblem(command);
        if (message !== undefined) context.addIssue({ code: 'custom', message });
      })
      .openapi({ example: ['claude', '-p', '{prompt}'] }),
  }),
  z.strictObject({
    type: z.literal('webhook'),
    url: z.url({ protocol: /^https?$/, message: 'must be an http(s) URL' }).max(2000),
  }),
]);

const policySchema = z
  .strictObject({
    heartbeatSeconds: z
      .number()
      .int()
      .min(1)
      .max(86_400)
      .optional()
      .openapi({ description: 'Seconds between heartbeats, told to the agent on each reply.' }),
    leaseSeconds: z.number().int().min(5).max(604_800).optional().openapi({
      description: 'Seconds of silence after which a session is taken for dead. Default 60.',
    }),
    timeoutSeconds: z.number().int().min(1).max(604_800).optional().openapi({
      description: 'Hard limit of a session in seconds. Default: none.',
    }),
    startSeconds: z.number().int().min(1).max(86_400).optional().openapi({
      description: 'Seconds that a session has for its first heartbeat. Default 120.',
    }),
    resumeBudget: z.number().int().min(0).max(100).optional().openapi({
      description: 'How often work is resumed before a person must look. Default 3.',
    }),
    resumeBackoffSeconds: z.number().min(0).max(86_400).optional().openapi({
      description: 'Seconds before the first resume; each further one waits twice as long.',
    }),
    spawner: spawnerSchema.optional().openapi({
      description: 'How resumed sessions get their agent. Default: pull.',
    }),
    checkpointRemote: storableText(2000)
      .min(1)
      .regex(/^[^-\s]\S*$/, 'must be the name of a remote, a URL, or "none"')
      .optional()
      .openapi({ description: 'Where checkpoint branches are pushed. Default: the server’s.' }),
    roots: z
      .array(storableText(4096).startsWith('/', 'must be an absolute path'))
      .max(100)
      .optional()
      .openapi({
        description:
          'Folders on workers’ hosts below which its worktrees lie; nobody else’s do. Default: the repositories that it was the first to use.',
      }),
    setup: setupSchema.optional().openapi({
      description:
        'What a new worktree of a resumed session needs before its agent is started: files that are copied from the one before, and commands.',
    }),
    keepResultDays: z.number().int().min(0).max(3650).optional().openapi({
      description: 'Days that the result of finished work is kept that has not landed. Default 7.',
    }),
    checkpointRetentionDays: z.number().int().min(0).max(3650).optional().openapi({
      description: 'Days that checkpoints of work that did not succeed are kept. Default 14.',
    }),
  })
  .openapi('AgentPolicy');

const agentSchema = z
  .object({
    name: agentNameSchema,
    repos: z.array(fullRepoNameSchema),
    policy: policySchema,
    paused: z.boolean(),
    createdAt: timestamp,
    updatedAt: timestamp,
  })
  .openapi('Agent');

const put = createRoute({
  method: 'put',
  path: '/agents/{agentName}',
  operationId: 'putAgent',
  tags: ['Agents'],
  summary: 'Create or change an agent',
  description:
    'Fields that are left out stay as they are. Repositories that are not yet tracked are tracked.',
  security: bearer,
  request: {
    params: agentNameParam,
    body: jsonBody(
      z
        .strictObject({
          repos: z.array(fullRepoNameSchema).max(200).optional(),
          policy: policySchema.optional(),
          paused: z.boolean().optional(),
        })
        .openapi('PutAgent'),
    ),
  },
  responses: { 200: json(agentSchema, 'The agent'), ...problems(400, 409, 413) },
});

const get = createRoute({
  method: 'get',
  path: '/agents/{agentName}',
  operationId: 'getAgent',
  tags: ['Agents'],
  summary: 'Read an agent',
  security: bearer,
  request: { params: agentNameParam },
  responses: { 200: json(agentSchema, 'The agent'), ...problems(404) },
});

const list = createRoute({
  method: 'get',
  path: '/agents',
  operationId: 'listAgents',
  tags: ['Agents'],
  summary: 'List agents, newest first',
  security: bearer,
  request: { query: z.strictObject(pageQuery) },
  responses: { 200: json(pageOf(agentSchema), 'A page of agents'), ...problems() },
});

export function agentRoutes({ db }: Pick<Deps, 'db'>) {
  const router = createRouter();
  const view = async (agent: Agent) => {
    const [first] = await viewAgents(db, [agent]);
    if (!first) throw new Error('one agent has one view');
    return first;
  };
  router.use('/agents', requireOperator);
  router.use('/agents/:agentName', requireOperator);
  return router
    .openapi(put, async (c) => {
      const { repos, ...changes } = c.req.valid('json');
      const agent = await putAgent(
        db,
        c.req.valid('param').agentName,
        {
          ...changes,
          ...(repos && { repos: repos.map(parseRepoName) }),
        },
        actorOf(c),
      );
      return c.json(await view(agent), 200);
    })
    .openapi(get, async (c) => {
      return c.json(await view(await getAgent(db, c.req.valid('param').agentName)), 200);
    })
    .openapi(list, async (c) => c.json(await listAgentViews(db, c.req.valid('query')), 200));
}
