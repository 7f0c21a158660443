import { expect, test } from 'vitest';
import { measureContender } from '../../bench/measure/contender.ts';
import { orderOf } from '../../bench/measure/plan.ts';

const plan = {
  warmUp: { callers: 32, maxCalls: 50, maxMs: 10 },
  levels: [
    { callers: 1, maxCalls: 100, maxMs: 10 },
    { callers: 32, maxCalls: 200, maxMs: 10 },
  ],
};

/** A contender that answers ten calls a level and holds `recorded` passes on record. */
const hostWith = (recorded: number | undefined, firsts: number[] = []) => ({
  measure: (_: unknown, first: number) => {
    firsts.push(first);
    return Promise.resolve({ calls: 10, perSecond: 1, p50: 1, p99: 1 });
  },
  recorded: () => Promise.resolve(recorded),
});

test('measures every level, and no call number is used twice', async () => {
  const firsts: number[] = [];
  const figures = await measureContender(hostWith(30, firsts), plan);
  expect([...figures.keys()]).toEqual([1, 32]);
  expect(firsts).toEqual([1, 11, 21]);
});

test('refuses a contender that answered more than it recorded', async () => {
  await expect(measureContender(hostWith(29), plan)).rejects.toThrow(
    '30 calls were answered, but only 29 are on record',
  );
});

test('takes a contender that cannot say what it recorded', async () => {
  await expect(measureContender(hostWith(undefined), plan)).resolves.toBeInstanceOf(Map);
});

test('every round has every contender once, and none is always first or last', () => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
  const rounds = [0, 1, 2].map((round) => orderOf(names, round));
  for (const order of rounds) expect(order.toSorted()).toEqual(names);
  expect(new Set(rounds.map((order) => order[0])).size).toBe(3);
  expect(new Set(rounds.map((order) => order.at(-1))).size).toBe(3);
  expect(orderOf([], 1)).toEqual([]);
});
