import { createRoute, z } from '@hono/zod-openapi';
import type { Deps } from '../../deps.ts';
import { enqueueSessionRuns } from '../../jobs/submit.ts';
import { beat } from '../../services/sessions/beat.ts';
import { claim as claimSession } from '../../services/sessions/claim.ts';
import {
  continuationInput,
  finishedPrompt,
  withoutSecrets,
} from '../../services/sessions/continuation.ts';
import { continuationJson } from '../../services/sessions/continuation-json.ts';
import { finishSession, interruptSession } from '../../services/sessions/end.ts';
import {
  getSession,
  listSessionViews,
  noSuchSession,
  viewSession,
  withAttempts,
} from '../../services/sessions/read.ts';
import { startSession } from '../../services/sessions/start.ts';
import { toSessionView } from '../../services/sessions/view.ts';
import type { Principal } from '../../services/tokens/authenticate.ts';
import {
  actorOf,
  assertMayActFor,
  assertOperator,
  assertSession,
  mayReadSession,
  visibleAgent,
} from '../auth.ts';
import {
  agentNameParam,
  agentNameSchema,
  bearer,
  createRouter,
  idParam,
  idPrefixQuery,
  json,
  jsonBody,
  pageOf,
  pageQuery,
  problems,
} from '../validation.ts';
import { continuationSchema } from './continuation-schema.ts';
import {
  absolutePath,
  beatAnswerSchema,
  beatSchema,
  claimedSchema,
  claimSchema,
  finishSchema,
  interruptSchema,
  sessionSchema,
  sessionStatus,
  sessionWithAttemptsSchema,
  startedSchema,
  startSchema,
} from './session-schemas.ts';

const common = { tags: ['Sessions'], security: bearer };

const start = createRoute({
  ...common,
  method: 'post',
  path: '/agents/{agentName}/sessions',
  operationId: 'startSession',
  summary: 'Start a session: one attempt at a piece of work',
  description: 'Answers with the token of the session, shown this once.',
  request: { params: agentNameParam, body: jsonBody(startSchema) },
  responses: { 201: json(startedSchema, 'Started'), ...problems(400, 404, 409, 413) },
});

const claim = createRoute({
  ...common,
  method: 'post',
  path: '/agents/{agentName}/claim',
  operationId: 'claimSession',
  summary: 'Take the next pending resume of an agent, or a given one',
  request: { params: agentNameParam, body: jsonBody(claimSchema, false) },
  responses: {
    200: json(claimedSchema, 'The session, its token, and the prompt to go on from'),
    204: {
      description: 'Nothing is pending; the one that was asked for may be after `Retry-After`',
    },
    ...problems(400, 404, 409, 413),
  },
});

const list = createRoute({
  ...common,
  method: 'get',
  path: '/sessions',
  operationId: 'listSessions',
  summary: 'List sessions, newest first',
  description: 'An operator sees all; an agent sees its own.',
  request: {
    query: z.strictObject({
      ...pageQuery,
      idPrefix: idPrefixQuery,
      agentName: agentNameSchema.optional().openapi({ param: { name: 'agentName', in: 'query' } }),
      status: sessionStatus.optional().openapi({ param: { name: 'status', in: 'query' } }),
      rootId: z
        .uuid('must be a UUID')
        .optional()
        .openapi({ param: { name: 'rootId', in: 'query' } }),
      needsAttention: z
        .enum(['true', 'false'])
        .transform((value) => value === 'true')
        .optional()
        .openapi({ param: { name: 'needsAttention', in: 'query' }, type: 'string' }),
    }),
  },
  responses: { 200: json(pageOf(sessionSchema), 'A page of sessions'), ...problems() },
});

const get = createRoute({
  ...common,
  method: 'get',
  path: '/sessions/{id}',
  operationId: 'getSession',
  summary: 'Read a session, with the attempts of its chain',
  request: { params: idParam },
  responses: { 200: json(sessionWithAttemptsSchema, 'The session'), ...problems(404) },
});

const light = createRoute({
  ...common,
  method: 'post',
  path: '/sessions/{id}/heartbeat',
  operationId: 'beatSession',
  summary: 'The light beat: renew the lease of a session',
  request: { params: idParam, body: jsonBody(beatSchema, false) },
  responses: { 200: json(beatAnswerSchema, 'Renewed'), ...problems(400, 404, 409, 413) },
});

const finish = createRoute({
  ...common,
  method: 'post',
  path: '/sessions/{id}/finish',
  operationId: 'finishSession',
  summary: 'End a session by its own word',
  request: { params: idParam, body: jsonBody(finishSchema) },
  responses: { 200: json(sessionSchema, 'The ended session'), ...problems(400, 404, 409, 413) },
});

const interrupt = createRoute({
  ...common,
  method: 'post',
  path: '/sessions/{id}/interrupt',
  operationId: 'interruptSession',
  summary: 'End a session from outside; its work is resumed as the policy allows',
  request: { params: idParam, body: jsonBody(interruptSchema) },
  responses: { 200: json(sessionSchema, 'The ended session'), ...problems(400, 404, 409, 413) },
});

const continuation = createRoute({
  ...common,
  method: 'get',
  path: '/sessions/{id}/continuation',
  operationId: 'getContinuation',
  summary: 'The prompt that the session goes on from',
  description: 'Markdown, or JSON if `Accept` asks for it: the prompt and what it was made of.',
  request: {
    params: idParam,
    query: z.strictObject({
      restoredTo: absolutePath.optional().openapi({
        param: { name: 'restoredTo', in: 'query' },
        description:
          'Where its work was restored by hand: the prompt is then for who goes on there, as the next attempt if the session is over.',
      }),
    }),
  },
  responses: {
    200: {
      description: 'The prompt',
      content: {
        'text/markdown': { schema: z.string() },
        'application/json': { schema: continuationSchema },
      },
    },
    ...problems(400, 404),
  },
});

export function sessionRoutes(deps: Deps) {
  const { db, sessionSettings } = deps;
  /** A session stops itself; who may act for its agent stops it from outside. */
  const assertMayStop = async (principal: Principal, id: string): Promise<void> => {
    if (principal.scope === 'session') return assertSession(principal, id);
    const session = await getSession(db, id);
    if (!mayReadSession(principal, session)) throw noSuchSession(id);
  };
  return createRouter()
    .openapi(start, async (c) => {
      const { agentName } = c.req.valid('param');
      assertMayActFor(c.get('principal'), agentName);
      const request = { agentName, ...c.req.valid('json') };
      if (request.takeover) assertOperator(c.get('principal'));
      const { session, token } = await startSession(db, sessionSettings, request);
      return c.json({ session: toSessionView(session), token }, 201);
    })
    .openapi(claim, async (c) => {
      const { agentName } = c.req.valid('param');
      assertMayActFor(c.get('principal'), agentName);
      const request = { agentName, ...c.req.valid('json') };
      const answer = await claimSession(db, sessionSettings, request);
      if (!('claimed' in answer)) {
        const { retryAfterSeconds: wait } = answer;
        return c.body(null, 204, wait === undefined ? {} : { 'Retry-After': String(wait) });
      }
      const { claimed } = answer;
      return c.json({ ...claimed, session: toSessionView(claimed.session) }, 200);
    })
    .openapi(list, async (c) => {
      const { limit, cursor, ...filter } = c.req.valid('query');
      const agentName = visibleAgent(c.get('principal'), filter.agentName);
      const asked = { ...filter, agentName };
      return c.json(await listSessionViews(db, sessionSettings, asked, { limit, cursor }), 200);
    })
    .openapi(get, async (c) => {
      const session = await getSession(db, c.req.valid('param').id);
      if (!mayReadSession(c.get('principal'), session)) throw noSuchSession(session.id);
      return c.json(await withAttempts(db, sessionSettings, session), 200);
    })
    .openapi(light, async (c) => {
      const { id } = c.req.valid('param');
      assertSession(c.get('principal'), id);
      return c.json(await beat(db, id, c.req.valid('json')), 200);
    })
    .openapi(finish, async (c) => {
      const { id } = c.req.valid('param');
      assertSession(c.get('principal'), id);
      const session = await finishSession(db, sessionSettings, id, c.req.valid('json'));
      return c.json(await viewSession(db, sessionSettings, session), 200);
    })
    .openapi(interrupt, async (c) => {
      const { id } = c.req.valid('param');
      await assertMayStop(c.get('principal'), id);
      const { session, runs } = await interruptSession(db, id, c.req.valid('json'), actorOf(c));
      enqueueSessionRuns(deps, runs);
      return c.json(await viewSession(db, sessionSettings, session), 200);
    })
    .openapi(continuation, async (c) => {
      const session = await getSession(db, c.req.valid('param').id);
      if (!mayReadSession(c.get('principal'), session)) throw noSuchSession(session.id);
      const input = await withoutSecrets(
        await continuationInput(db, session, c.req.valid('query').restoredTo),
        session,
      );
      const prompt = await finishedPrompt(input, session);
      if (c.req.header('accept')?.includes('application/json')) {
        return c.json(continuationJson(input, prompt), 200);
      }
      return c.text(prompt, 200, {
        'Content-Type': 'text/markdown; charset=utf-8',
      });
    });
}
