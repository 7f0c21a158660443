import { createMcpHandler } from '@modelcontextprotocol/server';
import { type Context, Hono } from 'hono';
import { createClient } from '../client/index.ts';
import { AppError } from '../errors.ts';
import { createMcpServer } from '../mcp/server.ts';
import { namedSessions, onlySession } from '../mcp/sessions.ts';
import type { Caller } from '../mcp/tool.ts';
import { bearerToken } from './auth.ts';
import type { AppEnv } from './env.ts';

/** Answers a request as the whole API does, with its authentication and validation. */
export type Fetch = (request: Request, env: AppEnv['Bindings']) => Promise<Response> | Response;

/**
 * `/mcp`: the Model Context Protocol over streamable HTTP. Each request stands for itself, so any web
 * process may answer it; the streams and sessions of the protocol, which GET and DELETE are for, are
 * refused with 405. What a tool does is a call of the API within this process.
 */
export function mcpRoutes(fetchApi: Fetch): Hono<AppEnv> {
  return new Hono<AppEnv>().on(['POST', 'GET', 'DELETE'], '/mcp', async (c) => {
    const caller = callerOf(c, fetchApi);
    const handler = createMcpHandler(() => createMcpServer(caller), {
      // Tools never change, so there is nothing to listen for.
      maxSubscriptions: 0,
      onerror: (error) => c.get('log').info({ err: error }, 'an MCP request was refused'),
    });
    const response = await handler.fetch(c.req.raw);
    if (response.status === 405) response.headers.set('Allow', 'POST');
    return response;
  });
}

/** Most calls in one request: each is a request of its own, and they begin together. */
const MAX_BATCH = 50;

/** How many calls a request holds: a batch is an array of them. */
export async function countCalls(c: Context<AppEnv>): Promise<number> {
  if (c.req.method !== 'POST') return 1;
  const { method } = c.req;
  const body = await c.req.raw.arrayBuffer();
  // Read once more by the handler of the protocol.
  c.req.raw = new Request(c.req.raw, { method, body });
  const calls = callsIn(body);
  if (calls <= MAX_BATCH) return Math.max(1, calls);
  throw new AppError(
    'too_large',
    `This batch holds ${calls} calls; ${MAX_BATCH} may come together. Send several requests.`,
  );
}

/** What is no JSON is refused by the handler of the protocol. */
function callsIn(body: ArrayBuffer): number {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(body).toString('utf8'));
    return Array.isArray(parsed) ? parsed.length : 1;
  } catch {
    return 1;
  }
}

function callerOf(c: Context<AppEnv>, fetchApi: Fetch): Caller {
  const { scope, agentName, sessionId } = c.get('principal');
  const token = bearerToken(c);
  const common = {
    api: (token: string) =>
      createClient({ url: WITHIN, token, fetch: (request) => callWithin(c, fetchApi, request) }),
    place: {},
    onError: (error: unknown) => c.get('log').error({ err: error }, 'an MCP tool failed'),
  };
  if (scope === 'session' && sessionId !== null) {
    return { ...common, agent: undefined, sessions: onlySession({ id: sessionId, token }) };
  }
  if (scope === 'agent' && agentName !== null) {
    return { ...common, agent: { name: agentName, token }, sessions: namedSessions };
  }
  throw new AppError(
    'forbidden',
    'The tools work for an agent. Use the token of an agent or of a session.',
  );
}

/** Never resolved: the calls stay in this process. */
const WITHIN = 'http://defib.internal';

/** Under the request id of the outer request, which was counted for the rate limit already. */
async function callWithin(c: Context<AppEnv>, fetchApi: Fetch, request: Request) {
  const headers = new Headers(request.headers);
  headers.set('X-Request-Id', c.get('requestId'));
  const body = await request.arrayBuffer();
  // As on the wire, where the length says whether there is a body.
  headers.set('Content-Length', String(body.byteLength));
  const { method, signal } = request;
  return await fetchApi(
    new Request(request.url, { method, headers, signal, ...(body.byteLength > 0 && { body }) }),
    { ...c.env, counted: true },
  );
}
