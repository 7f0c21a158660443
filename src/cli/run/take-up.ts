import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Client, type components, type Session, unwrap } from '../../client/index.ts';
import type { Setup } from '../../contract/setup.ts';
import { createPatience } from '../logs/patience.ts';
import { aborted, messageOf } from './deliver.ts';
import { agentEnvironment, type Ready } from './attempt.ts';
import type { NextCommand } from './next-command.ts';
import { makePlaces, type Places, placesOf, readSaved, sessionsFolder } from './places.ts';
import { sessionApi, type SessionApi } from './session-api.ts';
import { setUp, setupNote } from './setup.ts';
import type { Spot } from './spot.ts';
import { hostOf } from './start.ts';

export type Claimed = components['schemas']['ClaimedSession'];

type ClaimOptions = {
  client: Client;
  agentName: string;
  /** Which session: a waiting one, or that which goes on from an ended one. */
  given: { sessionId: string } | { resumedFrom: string };
  tell: (text: string) => void;
  /** Aborted with the error to end with. */
  ending: AbortSignal;
};

/** However long the service says: something may come in between. */
const MAX_WAIT_SECONDS = 5;
/** A wait that is worth telling. */
const LONG_SECONDS = 3;

/**
 * Claims a given session, and waits for it while there is something to wait for.
 *
 * @throws DefibError it cannot be had any more; or the reason of `ending`
 */
async function claimGiven(options: ClaimOptions): Promise<Claimed> {
  const { client, agentName, given, tell, ending } = options;
  const patience = createPatience(tell);
  let told = false;
  for (;;) {
    let wait = 1;
    const claimed = await patience(() => {
      ending.throwIfAborted();
      const call = client.POST('/api/agents/{agentName}/claim', {
        params: { path: { agentName } },
        body: given,
      });
      return unwrap(
        call.then((answer) => {
          wait = Number(answer.response.headers.get('retry-after')) || 1;
          return answer;
        }),
      );
    });
    if (claimed) return claimed;
    if (wait >= LONG_SECONDS && !told)
      tell(`The next attempt begins in ${wait} s. Ctrl-C ends it.`);
    told = true;
    await aborted(ending, Math.min(wait, MAX_WAIT_SECONDS) * 1000);
  }
}

/** What the service takes. */
const MAX_REASON = 1000;
/** How often a session says that it lives while its worktree is made. */
const BEAT_MS = 15_000;

/** Finds or makes the place of a claimed session. */
export type Settle = (session: Session, places: Places) => Promise<Spot>;

/**
 * Claims a given session, makes its place with `settle`, and says how `next` starts it there.
 *
 * @throws DefibError it cannot be had any more; or the reason of `ending`
 */
export async function beginNext(
  options: ClaimOptions & { url: string; next: NextCommand; graceMs: number },
  settle: Settle,
): Promise<Ready> {
  return await makeReady({ ...options, ...(await claimGiven(options)) }, settle);
}

export type Given = Furnishing & {
  session: Session;
  token: string;
  url: string;
  next: NextCommand;
};

/** Makes the place of a session that this process has, and says how it is started there. */
export async function makeReady(given: Given, settle: Settle): Promise<Ready> {
  const { session, token, url, next } = given;
  const { spot, prompt, promptFile } = await prepare(given, settle);
  const worktree = spot.worktree ?? spot.cwd;
  return {
    command: next({ prompt, promptFile, worktree, sessionId: session.id }),
    begun: { url, token, session, worktree: spot.worktree, moved: undefined },
    spot,
    promptFile,
  };
}

type Prepared = { spot: Spot; prompt: string; promptFile: string };

/** Makes a claimed session's place, says where it is, and gets the prompt that is true there. */
async function prepare(work: Given, settle: Settle): Promise<Prepared> {
  const { session, token, url } = work;
  const api = sessionApi({ url, token, id: session.id });
  const places = placesOf(sessionsFolder(process.env), session.id);
  const host = hostOf(process.env);
  await makePlaces(places);
  return await whileBeating(api, async () => {
    const spot = await settle(session, places);
    const { worktree, place } = spot;
    await api.beat({ host, ...(worktree !== null && { worktree }), ...(place && { place }) });
    const isNew = place === 'worktree' || place === 'clone';
    const note = isNew && worktree !== null ? await furnish(api, worktree, work) : '';
    const prompt = `${await api.continuation()}${note}`;
    const promptFile = join(places.folder, 'prompt.md');
    await writeFile(promptFile, prompt, { mode: 0o600 });
    return { spot, prompt, promptFile };
  });
}

/** Keeps a session alive that has no agent yet. Where the work fails, it waits again, for somebody who has more luck. */
export async function whileBeating<T>(api: SessionApi, work: () => Promise<T>): Promise<T> {
  await api.beat({});
  const beating = setInterval(() => void api.beat({}).catch(() => undefined), BEAT_MS);
  try {
    return await work();
  } catch (error) {
    const reason = `its place could not be made: ${messageOf(error)}`.slice(0, MAX_REASON);
    await api.end({ kind: 'interrupt', reason }).catch(() => undefined);
    throw error;
  } finally {
    clearInterval(beating);
  }
}

export type Furnishing = {
  graceMs: number;
  tell: (text: string) => void;
  ending: AbortSignal;
};

/**
 * Sets a new worktree up, as the policy says or else as `.defib.json` did when the work began on this machine.
 *
 * @returns what failed, for the prompt
 */
export async function furnish(
  api: SessionApi,
  worktree: string,
  work: Furnishing,
): Promise<string> {
  const { id, attempts, resumedFrom, setup: given } = await api.read();
  const setup = given ?? (await rememberedSetup(attempts));
  if (!setup) return '';
  const before = attempts.find((one) => one.id === resumedFrom);
  const isHere = before?.host === hostOf(process.env) && existsSync(before.worktree ?? '');
  const from = isHere ? (before?.worktree ?? undefined) : undefined;
  const env = agentEnvironment(process.env, undefined);
  return setupNote(await setUp({ ...work, setup, worktree, from, sessionId: id, env }));
}

async function rememberedSetup(attempts: Session[]): Promise<Setup | undefined> {
  for (const { id } of attempts) {
    const saved = await readSaved(placesOf(sessionsFolder(process.env), id));
    if (saved?.setup) return saved.setup;
  }
  return undefined;
}
