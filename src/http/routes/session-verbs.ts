import { createRoute } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { Deps } from '../../deps.ts';
import type { Session } from '../../db/schema.ts';
import { enqueueSessionRuns } from '../../jobs/submit.ts';
import { cancelSession } from '../../services/sessions/cancel.ts';
import { dismissSession } from '../../services/sessions/dismiss.ts';
import { getSession, noSuchSession, viewSession } from '../../services/sessions/read.ts';
import { resumeSession } from '../../services/sessions/resume.ts';
import { actorOf, assertMayActFor, mayReadSession } from '../auth.ts';
import type { AppEnv } from '../env.ts';
import { bearer, createRouter, idParam, json, jsonBody, problems } from '../validation.ts';
import { cancelSchema, dismissSchema, resumeSchema, sessionSchema } from './session-schemas.ts';

const common = { tags: ['Sessions'], security: bearer };

const resume = createRoute({
  ...common,
  method: 'post',
  path: '/sessions/{id}/resume',
  operationId: 'resumeSession',
  summary: 'Go on with a session that has ended, also after a spent budget',
  description:
    'Makes its next attempt at once, pending, which gets its agent as the policy says: by its spawner, or by a claim.',
  request: { params: idParam, body: jsonBody(resumeSchema, false) },
  responses: { 201: json(sessionSchema, 'The next attempt'), ...problems(400, 404, 409, 413) },
});

const cancel = createRoute({
  ...common,
  method: 'post',
  path: '/sessions/{id}/cancel',
  operationId: 'cancelSession',
  summary: 'End a session that lives or waits, for good',
  description: 'What its process left is saved; no attempt comes after it unless it is resumed.',
  request: { params: idParam, body: jsonBody(cancelSchema, false) },
  responses: {
    200: json(sessionSchema, 'The cancelled session'),
    ...problems(400, 404, 409, 413),
  },
});

const dismiss = createRoute({
  ...common,
  method: 'post',
  path: '/sessions/{id}/dismiss',
  operationId: 'dismissSession',
  summary: 'Take the work of a session off the list of what a person must look at',
  description:
    'For all attempts at that work, none of which may live or wait. What was kept of its result is pruned.',
  request: { params: idParam, body: jsonBody(dismissSchema, false) },
  responses: { 200: json(sessionSchema, 'The session'), ...problems(400, 404, 409, 413) },
});

/** What a person does for a session, or its agent: who may act for the agent may. */
export function sessionVerbRoutes(deps: Deps) {
  const { db, sessionSettings: settings } = deps;

  const actedOn = async (c: Context<AppEnv>, id: string): Promise<Session> => {
    const session = await getSession(db, id);
    if (!mayReadSession(c.get('principal'), session)) throw noSuchSession(id);
    assertMayActFor(c.get('principal'), session.agent_name);
    return session;
  };

  return createRouter()
    .openapi(resume, async (c) => {
      const before = await actedOn(c, c.req.valid('param').id);
      const request = c.req.valid('json');
      const { session, runs } = await resumeSession(db, settings, before, request, actorOf(c));
      enqueueSessionRuns(deps, runs);
      return c.json(await viewSession(db, settings, session), 201);
    })
    .openapi(cancel, async (c) => {
      const before = await actedOn(c, c.req.valid('param').id);
      const request = c.req.valid('json');
      const { session, runs } = await cancelSession(db, settings, before, request, actorOf(c));
      enqueueSessionRuns(deps, runs);
      return c.json(await viewSession(db, settings, session), 200);
    })
    .openapi(dismiss, async (c) => {
      const before = await actedOn(c, c.req.valid('param').id);
      const session = await dismissSession(db, before, c.req.valid('json'), actorOf(c));
      return c.json(await viewSession(db, settings, session), 200);
    });
}
