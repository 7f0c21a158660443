import { OpenAPIHono, z } from '@hono/zod-openapi';
import type { AppEnv } from './env.ts';
import { invalidFields } from './problem.ts';

/** A router whose validators answer with a problem that lists every wrong field. */
export function createRouter(): OpenAPIHono<AppEnv> {
  return new OpenAPIHono<AppEnv>({
    defaultHook: (result) => {
      if (!result.success) throw invalidFields(result.target, result.error.issues);
    },
  });
}

// Agents' names become parts of branch names, labels and folders: the rules of all of them meet.
const AGENT_NAME = /^[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?![.])){0,63}$/;

export const agentNameSchema = z
  .string()
  .refine(
    (name) => AGENT_NAME.test(name) && !name.endsWith('.') && !name.endsWith('.lock'),
    'must be 1 to 64 letters, digits, ".", "_" or "-", begin with a letter or digit, and have no ".." and no "." or ".lock" at its end',
  )
  .openapi({ example: 'builder', maxLength: 64 });

export const agentNameParam = z.object({
  agentName: agentNameSchema.openapi({ param: { name: 'agentName', in: 'path' } }),
});

// What GitHub allows in names of owners and repositories.
const OWNER = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})$/;
const REPO = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}$/;

export const ownerSchema = z
  .string()
  .regex(OWNER, 'must be the name of a GitHub user or organisation')
  .openapi({ example: 'acme' });
export const repoNameSchema = z
  .string()
  .regex(REPO, 'must be the name of a repository')
  .openapi({ example: 'app' });

/** `owner/name`, read into its parts. */
export const fullRepoNameSchema = z
  .string()
  .refine((text) => {
    const [owner = '', name = '', ...rest] = text.split('/');
    return OWNER.test(owner) && REPO.test(name) && rest.length === 0;
  }, 'must be "owner/name", as in "acme/app"')
  .openapi({ example: 'acme/app' });

export function parseRepoName(fullName: string): { owner: string; name: string } {
  const [owner = '', name = ''] = fullName.split('/');
  return { owner, name };
}

export const idParam = z.object({
  id: z.uuid('must be a UUID').openapi({
    param: { name: 'id', in: 'path' },
    example: '01920000-0000-7000-8000-000000000000',
  }),
});

/** The beginning of an id, as a range of ids. */
export const idPrefixQuery = z
  .string()
  .regex(/^(?=.{4,36}$)[0-9a-f]+(?:-[0-9a-f]+)*-?$/i, 'must be 4 characters or more of an id')
  .transform((text) => text.replaceAll('-', '').toLowerCase().slice(0, 32))
  .transform((hex) => ({ from: uuidOf(hex.padEnd(32, '0')), to: uuidOf(hex.padEnd(32, 'f')) }))
  .optional()
  .openapi({ param: { name: 'idPrefix', in: 'query' }, type: 'string' });

const uuidOf = (hex: string): string =>
  [0, 8, 12, 16, 20].map((at, n, all) => hex.slice(at, all[n + 1])).join('-');

/** Text that PostgreSQL can keep: whole characters, and none of them NUL. */
export const storableText = (maxLength: number) =>
  z
    .string()
    .max(maxLength, `must have at most ${maxLength} characters`)
    .refine(
      (text) => text.isWellFormed() && !text.includes('\0'),
      'must be well-formed Unicode without NUL',
    );

export const pageQuery = {
  limit: z.coerce
    .number('must be a number')
    .int('must be a whole number')
    .min(1, 'must be at least 1')
    .max(200, 'must be at most 200')
    .default(50)
    .openapi({ param: { name: 'limit', in: 'query' } }),
  cursor: z
    .uuid('must be the nextCursor of an earlier page')
    .optional()
    .openapi({ param: { name: 'cursor', in: 'query' } }),
};

export const timestamp = z.iso.datetime().openapi({ example: '2026-11-21T10:00:00.000Z' });

export const pageOf = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), nextCursor: z.string().nullable() });

const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    code: z.string(),
    detail: z.string(),
    requestId: z.string(),
    errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
    successorId: z.string().optional(),
  })
  .openapi('Problem');

const PROBLEMS = {
  400: 'malformed: the body cannot be read',
  401: 'unauthorized: no token, or one that is unknown, expired or revoked',
  403: 'forbidden: the token is for something else',
  404: 'not_found',
  409: 'conflict',
  413: 'too_large',
  422: 'invalid, with every wrong field in errors; or idempotency_mismatch',
  429: 'rate_limited, with Retry-After',
  500: 'internal: the server log has the cause under requestId',
  503: 'unavailable or overloaded, with Retry-After',
} as const;

type ProblemStatus = keyof typeof PROBLEMS;

/** The problem answers of a route: those that every route can give, and the ones named. */
export function problems(...more: ProblemStatus[]) {
  const statuses: ProblemStatus[] = [401, 403, 422, 429, 500, 503, ...more];
  return Object.fromEntries(
    statuses.map((status) => [
      status,
      {
        description: PROBLEMS[status],
        content: { 'application/problem+json': { schema: problemSchema } },
      },
    ]),
  );
}

/** A JSON answer. */
export const json = <T extends z.ZodType>(schema: T, description: string) => ({
  description,
  content: { 'application/json': { schema } },
});

/** A JSON body. */
export const jsonBody = <T extends z.ZodType>(schema: T, required = true) => ({
  required,
  content: { 'application/json': { schema } },
});

export const bearer = [{ bearer: [] }];
