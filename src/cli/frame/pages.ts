import { type Command, InvalidArgumentError } from 'commander';

export type Page<T> = { items: T[]; nextCursor: string | null };

/** What the API gives at most at once. */
const PAGE = 200;

/** Gives a command that lists its `--limit`. */
export const withLimit = (command: Command): Command =>
  command.option('-n, --limit <number>', 'how many to show, newest first', wholeNumber, 50);

/** As many items as were asked for (`Infinity` for all), over as many pages as that takes. */
export async function listUpTo<T>(
  limit: number,
  fetchPage: (query: { limit: number; cursor?: string }) => Promise<Page<T> | undefined>,
): Promise<Page<T>> {
  const items: T[] = [];
  let cursor: string | null = null;
  do {
    const query = { limit: Math.min(limit - items.length, PAGE), ...(cursor && { cursor }) };
    const page: Page<T> | undefined = await fetchPage(query);
    items.push(...(page?.items ?? []));
    cursor = page?.nextCursor ?? null;
  } while (cursor && items.length < limit);
  return { items, nextCursor: cursor };
}

/** Says that there is more, where there is. */
export const moreLine = ({ items, nextCursor }: Page<unknown>): string =>
  nextCursor ? `\n… and more: --limit ${items.length * 4} shows them` : '';

export function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}
