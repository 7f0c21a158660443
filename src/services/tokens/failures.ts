import type { Db } from '../../db/connect.ts';
import { noteAct, SYSTEM } from '../audit/note.ts';

export type SignInFailures = {
  /** Counts one more. Returns the seconds that the address is to wait, if it failed too often. */
  note(address: string): number | undefined;
  /** Writes what was noted since the last flush to the audit. */
  flush(): Promise<void>;
};

export type FailureLimits = {
  /** Failures of an address within `windowMs` that are answered as what they are. */
  max: number;
  windowMs: number;
  /** Most addresses that are remembered, and most that one flush names. */
  addresses: number;
  named: number;
};

const LIMITS: FailureLimits = { max: 20, windowMs: 60_000, addresses: 10_000, named: 20 };

/**
 * Counts failed sign-ins by address. Only what fails is counted, after it has failed: a right token is never
 * kept out by what strangers do from the same address. What is remembered is bounded, whoever tries what.
 */
export function createSignInFailures(
  db: Db,
  now: () => number,
  limits: FailureLimits = LIMITS,
): SignInFailures {
  const windows = new Map<string, { count: number; until: number }>();
  let unwritten = new Map<string, number>();

  return {
    note: (address) => {
      const time = now();
      const known = windows.get(address);
      const window =
        known && known.until > time ? known : { count: 0, until: time + limits.windowMs };
      window.count += 1;
      // The address that has been quiet for longest goes first.
      windows.delete(address);
      windows.set(address, window);
      const [oldest] = windows.keys();
      if (windows.size > limits.addresses && oldest !== undefined) windows.delete(oldest);

      const name = unwritten.has(address) || unwritten.size < limits.named ? address : OTHERS;
      unwritten.set(name, (unwritten.get(name) ?? 0) + 1);
      return window.count > limits.max ? Math.ceil((window.until - time) / 1000) : undefined;
    },
    flush: async () => {
      const failures = unwritten;
      unwritten = new Map();
      for (const [address, count] of failures) {
        const actor = { ...SYSTEM, scope: 'stranger' as const, address };
        await noteAct(db, actor, { action: 'sign_in.failed', target: address, details: { count } });
      }
    },
  };
}

const OTHERS = 'other addresses';
