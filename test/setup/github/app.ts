import type { HttpBindings } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import type { gatekeeper } from './auth.ts';
import { errorBody } from './bodies.ts';
import { checkAnswer, checkRequest } from './description.ts';
import { type Answer, type faultBox, refusal, spoil } from './faults.ts';
import { gitHubRoutes, installationToken } from './routes.ts';
import type { World } from './world.ts';

export type FakeRequest = { method: string; path: string; authorization: string; status: number };

export type FakeParts = {
  world: World;
  faults: ReturnType<typeof faultBox>;
  gate: ReturnType<typeof gatekeeper>;
  requests: FakeRequest[];
  violations: string[];
  /** Whether requests and answers are held to the description. */
  checked: boolean;
  /** Where the fake listens. */
  base: () => string;
};

const LIMIT = 5000;

/** Every request goes: record, check, refuse or answer, check, spoil. */
export function fakeApp(parts: FakeParts): Hono<{ Bindings: HttpBindings }> {
  const { world, faults, gate, requests } = parts;
  const app = new Hono<{ Bindings: HttpBindings }>();
  app.get('/_requests', (c) => c.json({ requests: requests.length }));
  app.use('*', async (c, next) => {
    const { pathname, search } = new URL(c.req.url);
    const path = pathname + search;
    const authorization = c.req.header('authorization') ?? '';
    const entry: FakeRequest = { method: c.req.method, path, authorization, status: 0 };
    requests.push(entry);
    await checkSent(parts, c);
    const met = faults.meet(c.req.method, path);
    const refused = met && refusal(met.fault, world.now());
    if (refused) c.res = toResponse(refused);
    else if (gate.admits(pathname, authorization)) await next();
    else c.res = Response.json(errorBody(401, 'Bad credentials'), { status: 401 });
    await checkAnswered(parts, c);
    entry.status = c.res.status;
    addHeaders(c.res.headers, world.now(), requests.length);
    if (met) c.res = await spoil(met, c.res, c.env);
  });
  app.post('/app/installations/:id/access_tokens', (c) => {
    if (!gate.knowsInstallation(c.req.param('id'))) return c.json(errorBody(404, 'Not Found'), 404);
    const grant = installationToken(world.now());
    gate.remember(grant.token);
    return c.json(grant, 201);
  });
  return app.route('/', gitHubRoutes(world, parts.base));
}

/** A 304 has no body, whatever made it. */
const toResponse = (answer: Answer): Response =>
  answer.status === 304 ? new Response(null, answer) : Response.json(answer.body, answer);

async function checkSent({ checked, violations }: FakeParts, c: Context): Promise<void> {
  if (!checked) return;
  const sent = await c.req.text();
  const body: unknown = sent === '' ? undefined : JSON.parse(sent);
  violations.push(...checkRequest(c.req.method, new URL(c.req.url), body));
}

async function checkAnswered({ checked, violations }: FakeParts, c: Context): Promise<void> {
  if (!checked || !c.res.headers.get('content-type')?.includes('json')) return;
  const body: unknown = await c.res.clone().json();
  violations.push(...checkAnswer(c.req.method, new URL(c.req.url).pathname, c.res.status, body));
}

function addHeaders(headers: Headers, now: Date, requests: number): void {
  const standard = {
    date: now.toUTCString(),
    'x-ratelimit-limit': String(LIMIT),
    'x-ratelimit-remaining': String(LIMIT - (requests % LIMIT)),
    'x-ratelimit-resource': 'core',
  };
  for (const [name, value] of Object.entries(standard)) {
    if (!headers.has(name)) headers.set(name, value);
  }
}
