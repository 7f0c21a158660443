import type { Answer, Call } from './service.ts';

/** An answer, or undefined where the connection was refused or cut. */
export type Outcome = Answer | undefined;

/**
 * Makes heartbeats with `callers` at a time, until `total` were made or `until` says so. Callers
 * whose connection fails go on with the next call.
 */
export async function beatMany(
  beat: () => Promise<Answer>,
  options: { callers: number; total?: number; until?: AbortSignal },
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  let begun = 0;
  const caller = async () => {
    while (begun < (options.total ?? Number.POSITIVE_INFINITY) && !options.until?.aborted) {
      begun += 1;
      outcomes.push(await beat().catch(() => undefined));
    }
  };
  await Promise.all(Array.from({ length: options.callers }, caller));
  return outcomes;
}

/** How often each status came; `cut` counts connections that failed. */
export function tally(outcomes: Outcome[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const outcome of outcomes) {
    const key = String(outcome?.status ?? 'cut');
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}

/** Every run that the API shows, by id. */
export async function allRuns(call: Call): Promise<Map<string, Answer['body']>> {
  const runs = new Map<string, Answer['body']>();
  let cursor: string | null = '';
  while (cursor !== null) {
    const page: Answer = await call('GET', `/api/runs?limit=100${cursor && `&cursor=${cursor}`}`);
    if (page.status !== 200) throw new Error(`runs are not listed: ${page.text}`);
    for (const run of page.body.items) runs.set(run.id, run);
    cursor = page.body.nextCursor;
  }
  return runs;
}
