import { afterAll, beforeAll, expect, test } from 'vitest';
import { listen } from '../../bench/host/listen.ts';

const calls: number[] = [];
let server: Awaited<ReturnType<typeof listen>>;

beforeAll(async () => {
  server = await listen((i) => {
    calls.push(i);
    return i < 0 ? Promise.reject(new Error('lost')) : Promise.resolve({ status: 'ok', tick: i });
  }, 'right');
});
afterAll(() => server.close());

const post = (token: string, tick: number) =>
  fetch(`http://127.0.0.1:${server.port}/`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: JSON.stringify({ agentName: 'agent-1', tick }),
  });

test('answers with what the contender answered', async () => {
  const response = await post('right', 7);
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({ status: 'ok', tick: 7 });
});

test('a wrong token never reaches the contender', async () => {
  const before = calls.length;
  expect((await post('wrong', 8)).status).toBe(401);
  expect(calls).toHaveLength(before);
});

test('a failed call is not answered with a success', async () => {
  expect((await post('right', -1)).status).toBe(500);
});
