import { ForgeError } from '../error.ts';

const PAGE = 100;

/** The query of a listing's first page. */
export function firstPage(since: Date | undefined): string {
  const query = new URLSearchParams({
    state: 'all',
    sort: 'created',
    direction: 'asc',
    per_page: String(PAGE),
    ...(since && { since: since.toISOString() }),
  });
  return query.toString();
}

/** Where the next page is, as GitHub's `Link` header says. */
export const nextPage = (link: string | undefined): string | undefined =>
  /<([^<>]*)>\s*;[^,<]*\brel="?next"?/i.exec(link ?? '')?.[1];

export const queryOf = (url: string): string => url.slice(url.indexOf('?') + 1);

/**
 * Watches that a listing gets on. Pages may repeat issues, as these move under the listing; one that
 * shows none but old ones, and names yet another page, would be followed for ever.
 */
export function pageTrail() {
  const seen = new Set<number>();
  return {
    /** @throws ForgeError when the next page leads nowhere */
    follow(numbers: number[], next: string | undefined): string | undefined {
      const before = seen.size;
      for (const number of numbers) seen.add(number);
      if (next !== undefined && seen.size === before) throw circle();
      return next;
    },
  };
}

const circle = () =>
  new ForgeError(
    'unavailable',
    'The pages of issues lead in circles. It is tried again later; if it stays, check GITHUB_API_URL and any proxy on the way.',
  );
