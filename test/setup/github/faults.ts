import type { HttpBindings } from '@hono/node-server';
import { errorBody } from './bodies.ts';

export type Answer = { status: number; body: unknown; headers?: Record<string, string> };

/** What can go wrong. A status answers at once; the rest spoils or delays the true answer. */
export type FaultKind =
  | { kind: 'status'; status: number; message?: string; headers?: Record<string, string> }
  /** `resetSeconds` from now the limit opens again. */
  | { kind: 'primary_limit'; resetSeconds: number }
  | { kind: 'secondary_limit'; retryAfterSeconds?: number }
  | { kind: 'web_page'; status?: number }
  /** Another body than the true one. */
  | { kind: 'body'; body: unknown; headers?: Record<string, string> }
  /** The true answer with other headers. */
  | { kind: 'headers'; headers: Record<string, string> }
  /** The connection ends before any answer. */
  | { kind: 'cut' }
  /** The connection ends in the middle of the answer. */
  | { kind: 'cut_body' }
  /** The answer is complete for HTTP, but its JSON ends in the middle. */
  | { kind: 'truncated' }
  /** The answer waits until `release()`. */
  | { kind: 'hold' }
  | { kind: 'slow'; ms: number };

export type FaultScope = {
  method?: string;
  /** Tried against path and query, e.g. `/issues\?.*page=2/`. */
  path?: RegExp;
  /** After so many answers the fault is over. */
  times?: number;
};

export type Fault = {
  readonly hits: number;
  /** Resolves when the first request meets the fault. */
  readonly reached: Promise<void>;
  release(): void;
  clear(): void;
};

type Live = {
  fault: FaultKind & FaultScope;
  hits: number;
  cleared: boolean;
  reached: PromiseWithResolvers<void>;
  released: PromiseWithResolvers<void>;
};

export function faultBox() {
  const live: Live[] = [];
  return {
    add(fault: FaultKind & FaultScope): Fault {
      const entry: Live = {
        fault,
        hits: 0,
        cleared: false,
        reached: Promise.withResolvers(),
        released: Promise.withResolvers(),
      };
      live.push(entry);
      return {
        get hits() {
          return entry.hits;
        },
        reached: entry.reached.promise,
        release: () => entry.released.resolve(),
        clear() {
          entry.cleared = true;
          entry.released.resolve();
        },
      };
    },
    meet(method: string, pathAndQuery: string): Live | undefined {
      const met = live.find(
        ({ fault, hits, cleared }) =>
          !cleared &&
          hits < (fault.times ?? Number.POSITIVE_INFINITY) &&
          (fault.method ?? method) === method &&
          (fault.path?.test(pathAndQuery) ?? true),
      );
      if (!met) return undefined;
      met.hits += 1;
      met.reached.resolve();
      return met;
    },
    clearAll() {
      for (const entry of live) {
        entry.cleared = true;
        entry.released.resolve();
      }
    },
  };
}

const inSeconds = (now: Date, seconds: number) => String(now.getTime() / 1000 + seconds);

/** The refusal that a fault answers with, or undefined where it only spoils the true answer. */
export function refusal(fault: FaultKind, now: Date): Answer | undefined {
  if (fault.kind === 'status') {
    const message = fault.message ?? `fault ${fault.status}`;
    return {
      status: fault.status,
      body: errorBody(fault.status, message),
      headers: fault.headers ?? {},
    };
  }
  if (fault.kind === 'primary_limit') {
    const headers = {
      'x-ratelimit-remaining': '0',
      'x-ratelimit-reset': inSeconds(now, fault.resetSeconds),
    };
    return { status: 403, body: errorBody(403, 'API rate limit exceeded for user ID 1.'), headers };
  }
  if (fault.kind === 'secondary_limit') {
    const seconds = fault.retryAfterSeconds;
    const headers: Record<string, string> =
      seconds === undefined ? {} : { 'retry-after': String(seconds) };
    return {
      status: 403,
      body: errorBody(403, 'You have exceeded a secondary rate limit.'),
      headers,
    };
  }
  return undefined;
}

/** Sends the true answer in the way that the fault wants. */
export async function spoil(live: Live, answer: Response, env: HttpBindings): Promise<Response> {
  const { fault } = live;
  if (fault.kind === 'hold') await live.released.promise;
  if (fault.kind === 'slow') {
    await new Promise((done) => {
      setTimeout(done, fault.ms);
    });
  }
  if (fault.kind === 'headers' || fault.kind === 'body') {
    const headers = fault.headers ?? {};
    for (const [name, value] of Object.entries(headers)) answer.headers.set(name, value);
  }
  if (fault.kind === 'body') return new Response(JSON.stringify(fault.body), answer);
  if (fault.kind === 'web_page') {
    return new Response('<html>hello</html>', {
      status: fault.status ?? 200,
      headers: { 'content-type': 'text/html' },
    });
  }
  if (fault.kind === 'truncated') {
    const text = await answer.text();
    return new Response(text.slice(0, Math.ceil(text.length / 2)), answer);
  }
  if (fault.kind === 'cut') env.incoming.socket.destroy();
  if (fault.kind === 'cut_body') {
    const text = await answer.text();
    return new Response(breakingOff(text.slice(0, Math.ceil(text.length / 2)), env), answer);
  }
  return answer;
}

function breakingOff(text: string, env: HttpBindings): ReadableStream {
  const parts = [new TextEncoder().encode(text)];
  return new ReadableStream({
    pull(controller) {
      const part = parts.pop();
      if (part) controller.enqueue(part);
      else env.incoming.socket.destroy();
    },
  });
}
