import { ForgeError } from '../error.ts';
import { type HttpFailure, headerOf, messageOf, servedAt } from './response.ts';

// GitHub asks for at least a minute where it does not say how long.
const UNSTATED_SECONDS = 60;
const LONGEST_SECONDS = 3600;

const clock = (ms: number) => `${new Date(ms).toISOString().slice(11, 19)} UTC`;
const clamp = (seconds: number) => Math.min(Math.max(Math.ceil(seconds), 1), LONGEST_SECONDS);

export function isRateLimit(failure: HttpFailure): boolean {
  if (failure.status === 429) return true;
  if (failure.status !== 403) return false;
  return (
    headerOf(failure, 'x-ratelimit-remaining') === '0' ||
    headerOf(failure, 'retry-after') !== undefined ||
    /rate limit|abuse detection/i.test(messageOf(failure))
  );
}

/** `Retry-After` in seconds: the header is a number of seconds or a date. */
export function retryAfter(failure: HttpFailure): number | undefined {
  const header = headerOf(failure, 'retry-after');
  if (header === undefined) return undefined;
  const seconds = /^\d+$/.test(header)
    ? Number(header)
    : (Date.parse(header) - servedAt(failure)) / 1000;
  return Number.isNaN(seconds) ? undefined : clamp(seconds);
}

function untilReset(failure: HttpFailure): number {
  const reset = Number(headerOf(failure, 'x-ratelimit-reset'));
  if (!Number.isFinite(reset) || reset <= 0) return UNSTATED_SECONDS;
  return clamp(reset - servedAt(failure) / 1000 + 1);
}

/** The typed error of an exhausted limit. Both clocks in it are GitHub's. */
export function rateLimitError(failure: HttpFailure, withCredentials: boolean): ForgeError {
  const spent = headerOf(failure, 'x-ratelimit-remaining') === '0';
  const seconds = retryAfter(failure) ?? (spent ? untilReset(failure) : UNSTATED_SECONDS);
  const opens = clock(servedAt(failure) + seconds * 1000);
  const options = { retryAfterSeconds: seconds, cause: failure };
  if (!withCredentials) {
    return new ForgeError(
      'rate_limited',
      `GitHub's limit for requests without credentials is used up until ${opens}. ` +
        'Set GITHUB_TOKEN, or the three GITHUB_APP_… variables.',
      options,
    );
  }
  const text = spent
    ? `GitHub's hourly request limit is used up until ${opens}. Nothing is asked until then; if it ` +
      'returns, raise DEFIB_SYNC_FRESHNESS_SECONDS or use credentials of their own.'
    : `GitHub asks to slow down (secondary rate limit); nothing is asked until ${opens}. ` +
      'If it returns, raise DEFIB_SYNC_FRESHNESS_SECONDS.';
  return new ForgeError('rate_limited', text, options);
}

/**
 * Remembers that a credential's limit is spent, so that the next repositories do not each ask in
 * vain: GitHub bans clients that go on. `now` is a monotonic clock in milliseconds.
 */
export function rateGate(now: () => number) {
  let shut: { until: number; error: ForgeError } | undefined;
  return {
    /** @throws ForgeError while the limit is known to be spent */
    pass(): void {
      if (!shut) return;
      const left = shut.until - now();
      if (left <= 0) {
        shut = undefined;
        return;
      }
      const retryAfterSeconds = Math.ceil(left / 1000);
      throw new ForgeError('rate_limited', shut.error.message, {
        retryAfterSeconds,
        cause: shut.error,
      });
    },
    shut(error: ForgeError): void {
      shut = { until: now() + (error.retryAfterSeconds ?? UNSTATED_SECONDS) * 1000, error };
    },
  };
}
export type RateGate = ReturnType<typeof rateGate>;
