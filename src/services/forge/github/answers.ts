import { z } from 'zod';
import { ForgeError } from '../error.ts';
import type { ForgeIssue, ForgeRepo } from '../forge.ts';

const timestamp = z.iso.datetime({ offset: true }).transform((text) => new Date(text));

const repository = z
  .object({
    id: z.union([z.number(), z.bigint()]),
    name: z.string(),
    owner: z.object({ login: z.string() }),
    has_issues: z.boolean(),
  })
  .transform((repo): ForgeRepo => ({
    upstreamId: String(repo.id),
    owner: repo.owner.login,
    name: repo.name,
    hasIssues: repo.has_issues,
  }));

const label = z
  .union([z.string(), z.object({ name: z.string().nullish() }).transform(({ name }) => name)])
  .transform((name) => name ?? '');

const issue = z.object({
  number: z.int().positive(),
  html_url: z.url({ protocol: /^https?$/ }),
  // PostgreSQL stores neither NUL nor half a surrogate pair.
  title: z.string().transform((text) => text.replaceAll('\u0000', '').toWellFormed()),
  state: z.enum(['open', 'closed']),
  labels: z.array(label),
  updated_at: timestamp,
  closed_at: timestamp.nullable(),
  pull_request: z.unknown().optional(),
});

const toIssue = (raw: z.infer<typeof issue>): ForgeIssue => ({
  number: raw.number,
  url: raw.html_url,
  title: raw.title,
  state: raw.state,
  labels: raw.labels.filter((name) => name !== ''),
  updatedAt: raw.updated_at,
  closedAt: raw.closed_at,
});

/** The server's clock, from the header that every HTTP server with a clock sends. */
export const readDate = (header: string | undefined): Date => read(z.coerce.date(), header);

function read<T>(schema: z.ZodType<T>, data: unknown): T {
  const parsed = schema.safeParse(data);
  if (parsed.success) return parsed.data;
  const text = 'The answer is not what the GitHub API promises. Check GITHUB_API_URL.';
  throw new ForgeError('unavailable', text, { cause: parsed.error });
}

export const readRepo = (data: unknown): ForgeRepo => read(repository, data);

export const readIssue = (data: unknown): ForgeIssue => toIssue(read(issue, data));

/** GitHub lists pull requests among the issues; they are left out. */
export function readIssues(data: unknown): ForgeIssue[] {
  return read(z.array(issue), data)
    .filter((raw) => raw.pull_request === undefined)
    .map(toIssue);
}
