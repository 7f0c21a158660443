import { openService, type Service } from '../frame/service.ts';
import { type AttemptOptions, type Ready, runAttempt } from './attempt.ts';
import { lastWords } from './last-words.ts';
import { forget } from './leave.ts';
import type { NextCommand } from './next-command.ts';
import { placesOf, readSaved, sessionsFolder } from './places.ts';
import { sessionApi } from './session-api.ts';
import type { Signals } from './signals.ts';
import { findSpot, relocated } from './spot.ts';
import type { Finished } from './supervise.ts';
import { beginNext } from './take-up.ts';

export type ChainOptions = AttemptOptions & {
  /** How many attempts are made here at most. */
  attempts?: number;
};

type Tools = { signals: Signals; tell: (text: string) => void };

/**
 * Makes attempt after attempt in this terminal, until the work completes, nothing can go on, or the user stops it.
 *
 * @param next how the command of a further attempt is made; undefined: there is none
 * @returns the exit code of the last attempt
 */
export async function runChain(
  first: Ready,
  next: NextCommand | undefined,
  options: ChainOptions,
  tools: Tools,
): Promise<number> {
  const { signals, tell } = tools;
  const ids: string[] = [];
  let ready = first;
  for (;;) {
    ids.push(ready.begun.session.id);
    const goesOn = next !== undefined && ids.length < (options.attempts ?? Infinity);
    const finished = await runAttempt({ ...ready, goesOn }, options, signals, tell);
    if (finished.status === 'completed') await forgetAll(ids.slice(0, -1));
    const following =
      goesOn && (await mayGoOn(ready, finished, signals))
        ? await begin(ready, finished, next, { ...tools, graceMs: options.grace * 1000 }).catch(
            (error: unknown) => error,
          )
        : undefined;
    if (isReady(following)) {
      ready = following;
      continue;
    }
    const result = finished.status === 'completed' ? (await readSession(ready))?.result : undefined;
    const words = { ready, finished, hasNext: next !== undefined, why: following, result };
    for (const line of lastWords(words)) tell(line);
    return finished.code;
  }
}

/** What the service says of it; undefined where it cannot be asked. */
async function readSession({ begun }: Ready) {
  const { url, token, session } = begun;
  const read = sessionApi({ url, token, id: session.id }).read();
  return await read.catch(() => undefined);
}

const isReady = (value: unknown): value is Ready =>
  typeof value === 'object' && value !== null && 'begun' in value;

/** Whether work that is not done is gone on with here: nobody asked it to stop, and its worktree is saved. */
async function mayGoOn(
  ready: Ready,
  { ended, status, sent, capture }: Finished,
  { ending, hurry }: Signals,
): Promise<boolean> {
  if (ending.aborted || hurry.aborted || !sent) return false;
  if (ready.spot.worktree !== null && !capture) return false;
  const { stop } = ended;
  if (status === undefined) {
    // By the service, which took it for dead while this machine slept, say; or by a person.
    return stop?.why === 'refused' && (await readSession(ready))?.status === 'timed_out';
  }
  return status === 'interrupted' && (stop === undefined || stop.why === 'limit');
}

/** Claims the next attempt, and makes its place. */
async function begin(
  { begun, spot: before }: Ready,
  { capture: saved, left }: Finished,
  next: NextCommand,
  { signals, tell, graceMs }: Tools & { graceMs: number },
): Promise<Ready> {
  const { client, url }: Service = await openService();
  const { agentName, id } = begun.session;
  const given = { resumedFrom: id };
  const isQuiet = left.length === 0;
  const ready = await beginNext(
    { client, url, agentName, given, next, graceMs, tell, ending: signals.ending },
    (session, places) => findSpot({ before, saved, isQuiet, session, places, tell }),
  );
  return { ...ready, command: relocated(ready.command, before.worktree, ready.spot.worktree) };
}

/** What earlier attempts of finished work have left on this machine. */
async function forgetAll(ids: string[]): Promise<void> {
  for (const id of ids) {
    const places = placesOf(sessionsFolder(process.env), id);
    const saved = await readSaved(places);
    if (saved) await forget(saved, places);
  }
}
