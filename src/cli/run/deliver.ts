import { randomUUID } from 'node:crypto';
import { DefibError } from '../../client/index.ts';
import type { CheckpointEntry, Entry, Outbox, Stored } from './outbox.ts';
import type { SessionApi } from './session-api.ts';

export type Delivery = {
  /** Tries now, and goes on until the outbox is empty or the service is away. Never rejects. */
  flush(): Promise<void>;
  /**
   * Flushes again and again, for as long as `withinMs` allows. After `hurry` there is one more try, which
   * a service that is there needs no more than. True: all is sent.
   */
  drain(withinMs: number, hurry: AbortSignal): Promise<boolean>;
};

export type DeliveryOptions = {
  api: SessionApi;
  outbox: Outbox;
  /** Tells the user, in one line. */
  tell: (text: string) => void;
  /** The session is not ours any more. What is still sent is kept by the service all the same. */
  onRefused: (error: DefibError) => void;
  /** Makes the bundle of a checkpoint again, with all history in it; undefined: it cannot be. */
  makeWhole: ((entry: CheckpointEntry) => Promise<string | undefined>) | undefined;
};

/** `later`: the service is away, or overloaded. */
type Outcome = 'done' | 'later';

const PAUSE_MS = 1000;
/** What the last try may take. */
const LAST_MS = 3000;
/** How often the service may be unavailable for one entry before that is blamed on the entry. */
const TRIES = 3;

/**
 * Brings what is in the outbox to the service, in order, one at a time. An entry is removed once the
 * service has acknowledged it, or has refused it for good, which is told.
 */
export function createDelivery(options: DeliveryOptions): Delivery {
  const { outbox, tell } = options;
  let away = false;
  let unavailable = 0;
  let running: Promise<void> | undefined;

  const note = (outcome: Outcome): void => {
    if (outcome === 'later' && !away) {
      tell('The service does not answer. What is saved is kept on disk and sent later.');
    }
    if (outcome === 'done' && away) tell('The service answers again.');
    away = outcome === 'later';
  };

  const flushAll = async (): Promise<void> => {
    for (let stored = await outbox.first(); stored; stored = await outbox.first()) {
      const outcome = await deliver(options, stored, unavailable < TRIES);
      unavailable = outcome === 'later' ? unavailable + 1 : 0;
      note(outcome);
      if (outcome === 'later') return;
    }
  };
  const flush = (): Promise<void> => {
    running ??= flushAll()
      .catch((error: unknown) => tell(`Not sent: ${messageOf(error)}`))
      .finally(() => (running = undefined));
    return running;
  };

  return {
    flush,
    async drain(withinMs, hurry) {
      const until = performance.now() + withinMs;
      for (;;) {
        const isLast = hurry.aborted;
        const tried = flush();
        await settledOr(tried, hurry, until - performance.now());
        if (hurry.aborted) await settledOr(tried, undefined, LAST_MS);
        if (outbox.size() === 0) return true;
        const left = until - performance.now();
        if (isLast || left <= 0) return false;
        await aborted(hurry, Math.min(PAUSE_MS, left));
      }
    },
  };
}

/** Waits for work, but not for longer than until the signal, or so many milliseconds. */
async function settledOr(
  work: Promise<void>,
  signal: AbortSignal | undefined,
  ms: number,
): Promise<void> {
  const given = new AbortController();
  const either = signal ? AbortSignal.any([signal, given.signal]) : given.signal;
  await Promise.race([work, aborted(either, ms)]);
  // Else its timer would keep the process.
  given.abort();
}

/** Waits, but not for longer than until the signal. */
export function aborted(signal: AbortSignal, ms: number): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(done, Math.max(0, ms));
    signal.addEventListener('abort', done);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
  });
}

async function deliver(
  options: DeliveryOptions,
  stored: Stored,
  patient: boolean,
): Promise<Outcome> {
  const { outbox } = options;
  try {
    await sendTwice(options.api, stored);
  } catch (error) {
    if (!(error instanceof DefibError)) throw error;
    if (isPassing(error, stored, patient)) return 'later';
    if (isRefusal(error)) options.onRefused(error);
    // A checkpoint of a session that has ended is kept by the service; anything else is not sent.
    else if (await sendLess(options, stored, error)) return 'done';
  }
  await outbox.remove(stored.name);
  return 'done';
}

/** A connection that is cut costs one retry, at once. */
async function sendTwice(api: SessionApi, { entry, bundle }: Stored): Promise<void> {
  const send = (): Promise<void> =>
    entry.kind === 'checkpoint' ? api.save(entry, bundle) : api.end(entry);
  try {
    await send();
  } catch (error) {
    if (!(error instanceof DefibError) || error.code !== 'unreachable') throw error;
    await send();
  }
}

/** The session is over or gone, or its token is void: somebody else has it. */
export const isRefusal = ({ code }: DefibError): boolean =>
  ['session_ended', 'session_superseded', 'unauthorized', 'not_found'].includes(code);

/**
 * What a restart or less load fixes. `unavailable` may also mean that the service cannot reach what a
 * bundle builds on: after some patience, one that builds on nothing is sent.
 */
function isPassing(
  { code, problem }: DefibError,
  { entry, bundle }: Stored,
  patient: boolean,
): boolean {
  const thin = entry.kind === 'checkpoint' && bundle !== undefined && buildsOnRemote(entry);
  if (code === 'unavailable' && thin) return patient;
  return ['unreachable', 'rate_limited'].includes(code) || (problem.status ?? 0) >= 500;
}

const buildsOnRemote = (entry: CheckpointEntry): boolean => entry.files?.baseUrl !== undefined;

/**
 * Puts what the service may take in the place of what it refused: a bundle with all history for one
 * that builds on a remote, and the reasoning alone for that. False: nothing is left to send.
 */
async function sendLess(
  { outbox, tell, makeWhole }: DeliveryOptions,
  { name, entry, bundle }: Stored,
  error: DefibError,
): Promise<boolean> {
  if (entry.kind !== 'checkpoint' || !entry.files) {
    tell(`The service refused to take ${nameOf(entry)}: ${error.message}`);
    return false;
  }
  const { baseUrl, ...files } = entry.files;
  const again = { ...entry, key: randomUUID() };
  const whole = bundle && baseUrl !== undefined && makeWhole && (await makeWhole(entry));
  if (whole) {
    await outbox.replace(name, { ...again, files }, whole);
    return true;
  }
  tell(`The files of a checkpoint are only on this machine: ${error.message}`);
  const { files: _, ...reasoningOnly } = again;
  if (!reasoningOnly.reasoning) return false;
  await outbox.replace(name, reasoningOnly);
  return true;
}

const nameOf = (entry: Entry): string =>
  entry.kind === 'checkpoint' ? 'a checkpoint' : `the end of the session (${entry.kind})`;

export const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);
