import { ForgeError } from '../error.ts';

const FIRST_WAIT_MS = 60_000;
const LONGEST_WAIT_MS = 15 * 60_000;

/**
 * Remembers that credentials were refused, so that not every repository asks with them in vain:
 * GitHub bans addresses that go on. When the wait is over, one request tries; the wait doubles
 * with each refusal. `now` is a monotonic clock in milliseconds.
 */
export function credentialGate(now: () => number) {
  let shut: { until: number; waitMs: number; error: ForgeError } | undefined;
  let trying = false;

  const refusal = ({ until, error }: NonNullable<typeof shut>) =>
    new ForgeError('bad_credentials', error.message, {
      retryAfterSeconds: Math.max(1, Math.ceil((until - now()) / 1000)),
      cause: error,
    });

  return {
    /** @throws ForgeError while the credentials are known to be refused */
    pass(): { accepted(): void; over(): void } {
      const closed = shut;
      if (!closed) return { accepted: () => undefined, over: () => undefined };
      if (closed.until > now() || trying) throw refusal(closed);
      trying = true;
      return {
        accepted() {
          trying = false;
          shut = undefined;
        },
        over() {
          trying = false;
        },
      };
    },
    shut(error: ForgeError): void {
      // Requests that were under way together are one refusal.
      if (shut && shut.until > now()) return;
      const waitMs = shut ? Math.min(shut.waitMs * 2, LONGEST_WAIT_MS) : FIRST_WAIT_MS;
      shut = { until: now() + waitMs, waitMs, error };
    },
  };
}
