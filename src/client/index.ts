import createFetchClient, { type Client as FetchClient } from 'openapi-fetch';
import type { components, paths } from './api.ts';
import { DefibError, type Problem } from './error.ts';

export type { components, operations, paths } from './api.ts';
export { DefibError, type Problem } from './error.ts';

export type Agent = components['schemas']['Agent'];
export type AgentPolicy = components['schemas']['AgentPolicy'];
export type Checkpoint = components['schemas']['Checkpoint'];
export type Repository = components['schemas']['Repository'];
export type Run = components['schemas']['AgentRun'];
export type Session = components['schemas']['Session'];
export type SessionWithAttempts = components['schemas']['SessionWithAttempts'];
export type Status = components['schemas']['Status'];
export type Token = components['schemas']['Token'];

/** One method for each HTTP method, typed by path: `client.GET('/api/runs/{id}', …)`. */
export type Client = FetchClient<paths>;

export type ClientOptions = {
  /** Where the service is: `http://127.0.0.1:4700`. */
  url: string;
  /** An operator's, an agent's or a session's token. */
  token?: string;
  /** Instead of the global `fetch`. */
  fetch?: (request: Request) => Promise<Response>;
};

/**
 * A client of the HTTP API: openapi-fetch with the paths of this version. Its calls give
 * `{data, error, response}`; `unwrap` makes that the data or a `DefibError`.
 *
 * @throws DefibError `unauthorized` for a token that cannot be one
 */
export function createClient({ url, token, fetch }: ClientOptions): Client {
  if (token !== undefined && !/^[!-~]+$/.test(token)) {
    // Refused here: the error about a header that cannot be sent would show the token.
    const detail = 'The token has characters that no token has. Give it as it was issued.';
    throw new DefibError({ code: 'unauthorized', detail });
  }
  return createFetchClient<paths>({
    baseUrl: url,
    ...(token !== undefined && { headers: { Authorization: `Bearer ${token}` } }),
    ...(fetch && { fetch }),
  });
}

type Answer = { data?: unknown; error?: unknown; response: Response };

/** What `data` is where there was no error. */
type SuccessOf<A> = A extends { error?: never; data?: unknown } ? A['data'] : never;

/**
 * The body of a successful call:
 * `const run = await unwrap(client.GET('/api/runs/{id}', { params: { path: { id } } }))`.
 *
 * @throws DefibError for every other answer, and with code `unreachable` when none came
 */
export async function unwrap<A extends Answer>(call: Promise<A>): Promise<SuccessOf<A>> {
  const { data, error, response } = await call.catch((cause: unknown): never => {
    if (cause instanceof Error && cause.name === 'AbortError') throw cause;
    throw new DefibError({ code: 'unreachable', detail: reasonOf(cause) }, { cause });
  });
  if (!response.ok) throw new DefibError(toProblem(error, response));
  return data as SuccessOf<A>;
}

/** An error that is not a problem document was made by something on the way, such as a proxy. */
function toProblem(error: unknown, response: Response): Problem {
  const retryAfter = Number(response.headers.get('retry-after'));
  return {
    ...(isProblem(error)
      ? error
      : { code: `http_${response.status}`, detail: response.statusText || 'No reason given.' }),
    status: response.status,
    ...(retryAfter > 0 && { retryAfterSeconds: retryAfter }),
  };
}

const isProblem = (error: unknown): error is Problem =>
  typeof error === 'object' && error !== null && 'code' in error && 'detail' in error;

/** fetch says only "fetch failed"; what went wrong is its cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(cause instanceof Error)) return String(cause);
  return cause.message || ('code' in cause ? String(cause.code) : cause.name);
}
