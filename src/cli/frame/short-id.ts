import type { Middleware } from 'openapi-fetch';
import { type Client, unwrap } from '../../client/index.ts';
import { listUpTo } from './pages.ts';
import { oneLine } from './printable.ts';

/** The first 48 bits of an id are its time, in milliseconds: `01a1fd5d-95f0`. */
const SHORT = 13;

/** The branch that a session's work gets in the user's repository where it needs one of its own. */
export const ownBranch = (sessionId: string): string => `defib/${sessionId.slice(0, SHORT)}`;

/** Cuts ids to where those of one listing differ. */
export function shortIds(ids: string[]): (id: string) => string {
  const all = [...new Set(ids)];
  let length = SHORT;
  while (new Set(all.map((id) => id.slice(0, length))).size < all.length) length += 1;
  return (id) => id.slice(0, length).replace(/-$/, '');
}

type Candidate = { id: string; words: string[] };

/** The items whose id begins with a text, by the part of the API that they belong to. */
type Find = (client: Client, idPrefix: string, limit: number) => Promise<Candidate[]>;

const findSessions: Find = async (client, idPrefix, limit) => {
  const query = { idPrefix, limit };
  const { items } = await unwrap(client.GET('/api/sessions', { params: { query } }));
  return items.map(({ id, agentName, status, objective }) => ({
    id,
    words: [agentName, status, objective],
  }));
};

const findRuns: Find = async (client, idPrefix, limit) => {
  const query = { idPrefix, limit };
  const { items } = await unwrap(client.GET('/api/runs', { params: { query } }));
  return items.map(({ id, agentName, kind, status }) => ({ id, words: [agentName, kind, status] }));
};

/** Few enough to read all. */
const findTokens: Find = async (client, idPrefix, limit) => {
  const { items } = await listUpTo(Infinity, (query) =>
    unwrap(client.GET('/api/tokens', { params: { query } })),
  );
  const found = items.filter(({ id }) => id.startsWith(idPrefix.toLowerCase()));
  return found.slice(0, limit).map(({ id, scope, agentName }) => ({
    id,
    words: [scope, agentName ?? 'operator'],
  }));
};

const IN_PATH: [start: string, noun: string, find: Find][] = [
  ['/api/sessions/{id}', 'session', findSessions],
  ['/api/runs/{id}', 'run', findRuns],
  ['/api/tokens/{id}', 'token', findTokens],
];
const IN_QUERY: Record<string, [noun: string, find: Find]> = {
  rootId: ['session', findSessions],
  sessionId: ['session', findSessions],
};

const WHOLE = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const BEGINNING = /^[0-9a-f]+(?:-[0-9a-f]+)*-?$/i;
const MIN = 4;
const MAX_TOLD = 8;

/**
 * Lets every call be made with the beginning of an id, as long as one item alone begins so. What is refused looks
 * like an answer of the API.
 */
export function shortIdMiddleware(client: Client): Middleware {
  return {
    async onRequest({ request, schemaPath, params }) {
      const url = new URL(request.url);
      const [, noun, find] = IN_PATH.find(([start]) => schemaPath.startsWith(start)) ?? [];
      const given = params.path?.['id'];
      if (noun && find && typeof given === 'string' && !WHOLE.test(given)) {
        const id = await resolveId(client, given, noun, find);
        if (id instanceof Response) return id;
        url.pathname = url.pathname.replace(`/${encodeURIComponent(given)}`, `/${id}`);
      }
      for (const [name, [what, look]] of Object.entries(IN_QUERY)) {
        const text = url.searchParams.get(name);
        if (text === null || WHOLE.test(text)) continue;
        const id = await resolveId(client, text, what, look);
        if (id instanceof Response) return id;
        url.searchParams.set(name, id);
      }
      return url.href === request.url ? undefined : new Request(url, request);
    },
  };
}

async function resolveId(
  client: Client,
  given: string,
  noun: string,
  find: Find,
): Promise<string | Response> {
  if (!BEGINNING.test(given) || given.replaceAll('-', '').length < MIN) {
    const how = `an id, or ${MIN} characters or more of its beginning`;
    return refusal(422, 'invalid', `"${given}" is no id of a ${noun}: give ${how}.`);
  }
  const found = await find(client, given, MAX_TOLD + 1);
  const [only] = found;
  if (!only)
    return refusal(404, 'not_found', `No ${noun} that this token may see begins with "${given}".`);
  if (found.length === 1) return only.id;
  const told = found
    .slice(0, MAX_TOLD)
    .map(({ id, words }) => `  ${id}  ${words.map(oneLine).join('  ').slice(0, 100)}`);
  const more = found.length > MAX_TOLD ? '\n  … and more' : '';
  return refusal(
    409,
    'ambiguous',
    `More than one ${noun} begins with "${given}":\n${told.join('\n')}${more}\nGive more of it.`,
  );
}

const refusal = (status: number, code: string, detail: string): Response =>
  Response.json({ code, detail }, { status });
