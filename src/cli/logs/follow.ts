import { setTimeout as pause } from 'node:timers/promises';
import { type Client, DefibError, type Run, unwrap } from '../../client/index.ts';
import { listUpTo } from '../frame/pages.ts';
import { createPatience } from './patience.ts';

export type RunFilter = { agentName?: string; sessionId?: string };

export type FollowOptions = {
  /** How many of the runs that are there already come first. */
  last: number;
  /** Told once when the server is gone, and once when it is back. */
  tell: (text: string) => void;
};

/** As many as the API lists at once. */
const PAGE = 200;

/** So many of the newest runs are looked at each time: they may have ended or come late. */
const WINDOW = 100;

/** How long until the runs are listed again, in seconds. */
const PAUSE_SECONDS = 1;

/**
 * Gives each run once, when it has ended. Never ends by itself: while the server is gone it waits, and
 * what happened in the meantime comes afterwards.
 *
 * @throws DefibError for what waiting cannot fix, such as a token that is not valid
 */
export async function* follow(
  client: Client,
  filter: RunFilter,
  { last, tell }: FollowOptions,
): AsyncGenerator<Run> {
  const patiently = createPatience(tell);
  const { items: first } = await listUpTo(Math.max(last, PAGE), (query) =>
    listRuns(client, { ...filter, ...query }),
  );
  yield* first.slice(0, last).filter(hasEnded).toReversed();

  let floor = first[WINDOW - 1]?.id ?? '';
  /** Runs that have been given, or had ended before, and are still in the window. */
  let done = new Set(first.filter(hasEnded).map(({ id }) => id));
  /** Runs that go on; one of them may be older than the window. */
  const live = new Set(first.filter((run) => !hasEnded(run)).map(({ id }) => id));
  for (;;) {
    await patiently(() => untilNext(client, [...live][0]));
    const listed = await patiently(() => listDownTo(client, filter, floor));
    const older = [...live].filter((id) => listed.every((run) => run.id !== id));
    for (const id of older) {
      const run = await patiently(() => findRun(client, id));
      if (run) listed.push(run);
      else live.delete(id);
    }
    for (const run of listed.toReversed()) {
      if (!hasEnded(run)) live.add(run.id);
      else if (!done.has(run.id)) {
        live.delete(run.id);
        done.add(run.id);
        yield run;
      }
    }
    floor = listed[WINDOW - 1]?.id ?? floor;
    done = new Set([...done].filter((id) => id >= floor));
  }
}

const hasEnded = (run: Run): boolean => run.finishedAt !== null;

type Query = RunFilter & { limit: number; cursor?: string };

const listRuns = (client: Client, query: Query) =>
  unwrap(client.GET('/api/runs', { params: { query } }));

/** Runs from the newest down to that with the id `floor`: ids are in the order of creation. */
async function listDownTo(client: Client, filter: RunFilter, floor: string): Promise<Run[]> {
  const runs: Run[] = [];
  for (let cursor: string | null = null; ;) {
    const page = await listRuns(client, { ...filter, limit: PAGE, ...(cursor && { cursor }) });
    runs.push(...page.items.filter(({ id }) => id >= floor));
    cursor = page.nextCursor;
    if (cursor === null || (page.items.at(-1)?.id ?? '') <= floor) return runs;
  }
}

/** Ends as soon as the run does; without one, and at the latest, after a moment. */
async function untilNext(client: Client, live: string | undefined): Promise<void> {
  if (live === undefined) await pause(PAUSE_SECONDS * 1000);
  else await findRun(client, live, { Prefer: `wait=${PAUSE_SECONDS}` });
}

/** The run; undefined once its retention has passed. */
async function findRun(
  client: Client,
  id: string,
  headers: Record<string, string> = {},
): Promise<Run | undefined> {
  try {
    return await unwrap(client.GET('/api/runs/{id}', { params: { path: { id } }, headers }));
  } catch (error) {
    if (error instanceof DefibError && error.code === 'not_found') return undefined;
    throw error;
  }
}
