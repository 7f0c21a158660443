import { describe, expect, it } from 'vitest';
import { createJumpWatch, createLimit } from '../../src/cli/run/clock.ts';

/** A clock that a test turns. */
function handClock() {
  const at = { monotonic: 1000, wall: Date.parse('2026-11-21T12:00:00Z') };
  return {
    clock: { monotonic: () => at.monotonic, wall: () => at.wall },
    pass: (ms: number) => {
      at.monotonic += ms;
      at.wall += ms;
    },
    jump: (ms: number) => void (at.wall += ms),
  };
}

const said = (now: string, deadlineAt: string | null) => ({
  now: `2026-11-21T${now}Z`,
  deadlineAt: deadlineAt && `2026-11-21T${deadlineAt}Z`,
});

describe('the time limit', () => {
  it('is as far away as the service says, less what stopping takes', () => {
    const { clock, pass } = handClock();
    const limit = createLimit(clock, 20_000);
    expect(limit.left()).toBe(Infinity);
    // The service's clock is an hour off: only the distance counts.
    limit.learn(said('13:00:00', '13:02:00'), clock.monotonic());
    expect(limit.left()).toBe(100_000);
    pass(30_000);
    expect(limit.left()).toBe(70_000);
  });

  it('is not moved by a jump of the time of day', () => {
    const { clock, jump, pass } = handClock();
    const limit = createLimit(clock, 20_000);
    limit.learn(said('12:00:00', '12:02:00'), clock.monotonic());
    jump(-86_400_000);
    pass(1000);
    expect(limit.left()).toBe(99_000);
    jump(2 * 86_400_000);
    expect(limit.left()).toBe(99_000);
  });

  it('comes sooner after a sleep in which the monotonic clock stood still', () => {
    const { clock, jump, pass } = handClock();
    const limit = createLimit(clock, 20_000);
    const jumped = createJumpWatch(clock);
    limit.learn(said('12:00:00', '12:02:00'), clock.monotonic());
    pass(5000);
    expect(jumped()).toBe(false);
    jump(60_000);
    expect(jumped()).toBe(true);
    // So it beats, and learns.
    limit.learn(said('12:01:05', '12:02:00'), clock.monotonic());
    expect(limit.left()).toBe(35_000);
    expect(jumped()).toBe(false);
  });

  it('leaves three quarters of a short one to the agent', () => {
    const { clock } = handClock();
    const limit = createLimit(clock, 20_000);
    limit.learn(said('12:00:00', '12:00:10'), clock.monotonic());
    expect(limit.left()).toBe(7500);
    expect(limit.margin()).toBe(2500);
    limit.learn(said('12:00:08', '12:00:10'), clock.monotonic());
    expect(limit.left()).toBe(-500);
    limit.learn(said('12:00:08', null), clock.monotonic());
    expect(limit.left()).toBe(Infinity);
  });
});
