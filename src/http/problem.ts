import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';
import { isDatabaseAway } from '../db/away.ts';
import { AppError, type ErrorCode, type FieldError } from '../errors.ts';
import type { AppEnv } from './env.ts';

/** The one table from codes to HTTP. */
const STATUS = {
  malformed: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  session_ended: 409,
  session_superseded: 409,
  issue_claimed: 409,
  conflict: 409,
  too_large: 413,
  invalid: 422,
  idempotency_mismatch: 422,
  rate_limited: 429,
  internal: 500,
  unavailable: 503,
  overloaded: 503,
} as const satisfies Record<ErrorCode, number>;

const TITLES: Record<ErrorCode, string> = {
  malformed: 'The request cannot be read',
  unauthorized: 'No valid token',
  forbidden: 'Not allowed with this token',
  not_found: 'Not found',
  session_ended: 'The session has ended',
  session_superseded: 'Another session has taken over',
  issue_claimed: 'The issue is claimed',
  conflict: 'Conflict',
  too_large: 'The body is too large',
  invalid: 'The request is not valid',
  idempotency_mismatch: 'The Idempotency-Key was used for another request',
  rate_limited: 'Too many requests',
  internal: 'Internal error',
  unavailable: 'Not available now',
  overloaded: 'Too much work is waiting',
};

const DEFAULT_RETRY_AFTER_SECONDS = 5;

/** Answers with `application/problem+json` (RFC 9457). */
export function problem(c: Context<AppEnv>, error: AppError): Response {
  const body = {
    type: 'about:blank',
    title: TITLES[error.code],
    status: STATUS[error.code],
    code: error.code,
    detail: error.message,
    requestId: c.get('requestId'),
    ...(error.errors && { errors: error.errors }),
    ...(error.successorId && { successorId: error.successorId }),
  };
  const headers: Record<string, string> = { 'Content-Type': 'application/problem+json' };
  if (error.code === 'unauthorized') headers['WWW-Authenticate'] = 'Bearer realm="defib"';
  if (body.status === 503 || body.status === 429) {
    headers['Retry-After'] = String(error.retryAfterSeconds ?? DEFAULT_RETRY_AFTER_SECONDS);
  }
  return c.body(JSON.stringify(body), body.status, headers);
}

/** Turns whatever was thrown into an answer. What is not ours to tell stays in the log. */
export function toProblem(error: unknown, c: Context<AppEnv>): Response {
  if (error instanceof AppError) return problem(c, error);
  if (error instanceof HTTPException) return problem(c, fromHono(error));
  if (isDatabaseAway(error)) {
    c.get('log').warn({ err: error }, 'the database does not answer');
    return problem(
      c,
      new AppError('unavailable', 'The database does not answer. Try again in a few seconds.'),
    );
  }
  c.get('log').error({ err: error }, 'request failed');
  return problem(
    c,
    new AppError(
      'internal',
      `Something went wrong on the server. Its log has the cause under request id ${c.get('requestId')}.`,
    ),
  );
}

/** What the framework itself refuses: unreadable JSON, a wrong media type. */
function fromHono(error: HTTPException): AppError {
  if (error.status === 413) return tooLarge();
  if (error.status === 415) {
    return new AppError('malformed', 'Send a JSON body with "Content-Type: application/json".');
  }
  return new AppError('malformed', 'The body is not valid JSON. Check quotes, commas and braces.');
}

export const tooLarge = (): AppError =>
  new AppError('too_large', 'The body is too large. Shorten it: see /docs for the limits.');

type Issue = { path: PropertyKey[]; message: string; keys?: string[] };

/** Most fields that one answer names, and most characters of the path of one: a caller sends what it likes. */
const MAX_ERRORS = 50;
const MAX_PATH = 200;

/** One error with the fields that are wrong. `target` is the part of the request they are in. */
export function invalidFields(target: string, issues: Issue[]): AppError {
  const prefix = target === 'header' || target === 'query' ? [target] : [];
  const total = issues.reduce((count, { keys }) => count + (keys?.length ?? 1), 0);
  const errors: FieldError[] = [];
  for (const issue of issues) {
    for (const { path, message } of fieldsOf(issue, MAX_ERRORS - errors.length)) {
      errors.push({ path: shown([...prefix, ...path]), message });
    }
    if (errors.length >= MAX_ERRORS) break;
  }
  if (total > errors.length) {
    errors.push({ path: 'body', message: `and ${total - errors.length} more are wrong` });
  }
  const detail = errors.map(({ path, message }) => `${path}: ${message}`).join('; ');
  return new AppError('invalid', detail, { errors });
}

function shown(path: PropertyKey[]): string {
  const text = path.map(String).join('.') || 'body';
  return text.length > MAX_PATH ? `${text.slice(0, MAX_PATH)}…` : text;
}

/** Fields that should not be there are reported one by one, each by its own name. */
function fieldsOf(
  { path, message, keys }: Issue,
  limit: number,
): { path: PropertyKey[]; message: string }[] {
  if (!keys) return [{ path, message }];
  return keys
    .slice(0, limit)
    .map((key) => ({ path: [...path, key], message: 'is not a field of this request' }));
}
