import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Client, type components, type Session, unwrap } from '../../client/index.ts';
import { createPatience } from '../logs/patience.ts';
import { aborted, messageOf } from './deliver.ts';
import type { Ready } from './attempt.ts';
import type { NextCommand } from './next-command.ts';
import { makePlaces, type Places, placesOf, sessionsFolder } from './places.ts';
import { sessionApi } from './session-api.ts';
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
  options: ClaimOptions & { url: string; next: NextCommand },
  settle: Settle,
): Promise<Ready> {
  return await makeReady({ ...options, ...(await claimGiven(options)) }, settle);
}

export type Given = { session: Session; token: string; url: string; next: NextCommand };

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
async function prepare({ session, token, url }: Given, settle: Settle): Promise<Prepared> {
  const api = sessionApi({ url, token, id: session.id });
  const places = placesOf(sessionsFolder(process.env), session.id);
  const host = hostOf(process.env);
  await makePlaces(places);
  await api.beat({});
  const beating = setInterval(() => void api.beat({}).catch(() => undefined), BEAT_MS);
  try {
    const spot = await settle(session, places);
    const { worktree, place } = spot;
    await api.beat({ host, ...(worktree !== null && { worktree }), ...(place && { place }) });
    const prompt = await api.continuation();
    const promptFile = join(places.folder, 'prompt.md');
    await writeFile(promptFile, prompt, { mode: 0o600 });
    return { spot, prompt, promptFile };
  } catch (error) {
    // It waits again, for somebody who has more luck.
    const reason = `its place could not be made: ${messageOf(error)}`.slice(0, MAX_REASON);
    await api.end({ kind: 'interrupt', reason }).catch(() => undefined);
    throw error;
  } finally {
    clearInterval(beating);
  }
}
