import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { runClosedLoop } from '../../bench/measure/closed-loop.ts';

const MINUTE = 60_000;

test('each caller has one call under way at most, and together they make maxCalls', async () => {
  const seen: number[] = [];
  let underWay = 0;
  let most = 0;
  const summary = await runClosedLoop(
    { callers: 4, maxCalls: 50, maxMs: MINUTE },
    100,
    async (i) => {
      seen.push(i);
      most = Math.max(most, ++underWay);
      await turn();
      underWay -= 1;
    },
  );
  expect(most).toBe(4);
  expect(seen).toEqual(Array.from({ length: 50 }, (_, i) => 100 + i));
  expect(summary.calls).toBe(50);
});

test('ends when its time is over', async () => {
  const summary = await runClosedLoop({ callers: 2, maxCalls: 1e9, maxMs: 20 }, 0, () => turn());
  expect(summary.calls).toBeGreaterThan(0);
  expect(summary.calls).toBeLessThan(1e9);
});

test('the first failed call ends the loop, after every caller came to rest', async () => {
  let calls = 0;
  let atRest = 0;
  const loop = runClosedLoop({ callers: 3, maxCalls: 1_000, maxMs: MINUTE }, 0, async (i) => {
    calls += 1;
    await turn();
    atRest += 1;
    if (i === 5) throw new Error('call 5 was lost');
  });
  await expect(loop).rejects.toThrow('call 5 was lost');
  expect(atRest).toBe(calls);
  expect(calls).toBeLessThan(12);
});
