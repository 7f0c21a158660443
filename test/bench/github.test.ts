import { expect, test } from 'vitest';
import { runPaced } from '../../bench/github/paced.ts';
import { growsWithAgents, toMarkdown } from '../../bench/github/report.ts';

const never = new AbortController().signal;

const level = (agents: number, perWindow: number) => ({
  agents,
  firstRequests: 40,
  heartbeats: 600,
  perHeartbeat: 0.12345,
  perWindow,
  notOk: 0,
});

test('requests that follow repositories do not grow; requests that follow agents do', () => {
  expect(growsWithAgents([level(1, 20), level(1_000, 26)], 20)).toBe(false);
  expect(growsWithAgents([level(1, 20), level(1_000, 20_000)], 20)).toBe(true);
});

test('one line for each number of agents', () => {
  expect(toMarkdown([level(10, 19.96)])).toContain('| 10 | 40 | 600 | 20.0 | 0.1235 | 0 |');
});

test('no call is made before its turn, and none twice', async () => {
  const at: number[] = [];
  const started = performance.now();
  const pace = { everyMs: 10, forMs: 100, callers: 4, interrupt: never };
  const { calls } = await runPaced(pace, (i) => {
    expect(at[i]).toBeUndefined();
    at[i] = performance.now() - started;
    return Promise.resolve();
  });
  // On a busy machine timers fire late, so there may be fewer calls than ten; never more, or early.
  expect(calls).toBe(at.length);
  expect(calls).toBeLessThanOrEqual(10);
  for (const [i, ms] of at.entries()) expect(ms).toBeGreaterThanOrEqual(i * 10 - 2);
});

test('an interrupt ends it at once', async () => {
  const interrupt = new AbortController();
  const pace = { everyMs: 60_000, forMs: 600_000, callers: 2, interrupt: interrupt.signal };
  const paced = runPaced(pace, () => {
    interrupt.abort();
    return Promise.resolve();
  });
  await expect(paced).rejects.toThrow('aborted');
});
