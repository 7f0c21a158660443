import { setTimeout as pause } from 'node:timers/promises';
import { DefibError } from '../../client/index.ts';

const DEFAULT_PAUSE_SECONDS = 1;

/**
 * Makes calls again and again while the server is gone or overloaded, and says so, once. Without end,
 * unless `forMs` says how long.
 */
export function createPatience(tell: (text: string) => void, { forMs = Infinity } = {}) {
  const until = performance.now() + forMs;
  let away = false;
  return async <T>(call: () => Promise<T>): Promise<T> => {
    for (;;) {
      try {
        const answer = await call();
        if (away) tell('The server answers again.');
        away = false;
        return answer;
      } catch (error) {
        const passes = error instanceof DefibError && isPassing(error);
        if (!passes || performance.now() > until) throw error;
        if (!away) tell(`The server does not answer (${error.message}). Waiting for it …`);
        away = true;
        await pause((error.problem.retryAfterSeconds ?? DEFAULT_PAUSE_SECONDS) * 1000);
      }
    }
  };
}

/** What a restart or less load fixes. A proxy before the server answers with a 502 or 504. */
const isPassing = ({ code, problem }: DefibError): boolean =>
  code === 'unreachable' || code === 'rate_limited' || (problem.status ?? 0) > 500;
