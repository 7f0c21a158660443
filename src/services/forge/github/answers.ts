import { z } from 'zod';
import { ForgeError } from '../error.ts';
import type { ForgeIssue, ForgeRepo } from '../forge.ts';

const timestamp = z.iso.datetime({ offset: true }).transform((raw) => new Date(raw));

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

// PostgreSQL stores neither NUL nor half a surrogate pair.
const text = z.string().transform((raw) => raw.replaceAll('\u0000', '').toWellFormed());
const LARGEST_NUMBER = 2_147_483_647;

const label = z
  .union([text, z.object({ name: text.nullish() }).transform(({ name }) => name)])
  .transform((name) => name ?? '');

const issue = z.object({
  number: z.int().positive().max(LARGEST_NUMBER),
  html_url: text.pipe(z.url({ protocol: /^https?$/ })),
  title: text,
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

/**
 * GitHub lists pull requests among the issues; they are left out, but for their numbers. What a
 * page lists twice, because it moved meanwhile, is as it was last.
 */
export function readIssues(data: unknown): { issues: ForgeIssue[]; numbers: number[] } {
  const byNumber = new Map<number, z.infer<typeof issue>>();
  for (const raw of read(z.array(issue), data)) {
    const other = byNumber.get(raw.number);
    if (!other || other.updated_at <= raw.updated_at) byNumber.set(raw.number, raw);
  }
  const listed = [...byNumber.values()];
  return {
    issues: listed.filter((raw) => raw.pull_request === undefined).map(toIssue),
    numbers: listed.map((raw) => raw.number),
  };
}
