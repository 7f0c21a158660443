import { setTimeout as pause } from 'node:timers/promises';

/** Injected, so that tests can let clocks jump. All in milliseconds. */
export type Clock = {
  /** Runs on evenly, whatever is done to the time of day; may stand still while the machine sleeps. */
  monotonic: () => number;
  /** The time of day, which may jump. */
  wall: () => number;
};

export const systemClock: Clock = { monotonic: () => performance.now(), wall: () => Date.now() };

/** How far the two clocks may come apart before it counts as a jump. */
const JUMP_MS = 2000;

/**
 * Tells when the machine has slept, or somebody has set its time: then what the service said about time
 * may be out of date. Asked again and again.
 */
export function createJumpWatch(clock: Clock): () => boolean {
  let difference = clock.wall() - clock.monotonic();
  return () => {
    const now = clock.wall() - clock.monotonic();
    const jumped = Math.abs(now - difference) > JUMP_MS;
    difference = now;
    return jumped;
  };
}

export type Limit = {
  /**
   * Takes in what the service says: its own time, and when it ends the session. Only their distance
   * counts, so that this machine's time of day does not matter.
   *
   * @param askedAt monotonic time at which the service was asked, so that the limit is never too late
   */
  learn(said: { now: string; deadlineAt: string | null }, askedAt: number): void;
  /** Milliseconds until the agent must be stopped, so that its work is saved in time. */
  left(): number;
  /** How long before the limit that is, in milliseconds. */
  margin(): number;
};

/**
 * The time limit of a session, on the monotonic clock.
 *
 * @param marginMs what stopping and saving may take; of a short limit, a quarter at most
 */
export function createLimit(clock: Clock, marginMs: number): Limit {
  let stopAt = Infinity;
  let longest = 0;
  const margin = (): number => Math.min(marginMs, longest / 4);
  return {
    learn({ now, deadlineAt }, askedAt) {
      if (deadlineAt === null) {
        stopAt = Infinity;
        return;
      }
      const left = Date.parse(deadlineAt) - Date.parse(now);
      longest = Math.max(longest, left);
      stopAt = askedAt + left - margin();
    },
    left: () => stopAt - clock.monotonic(),
    margin,
  };
}

/** Waits for work, but no longer than that. */
export const atMost = (ms: number, work: Promise<unknown>): Promise<unknown> =>
  Promise.race([work, pause(ms, undefined, { ref: false })]);
