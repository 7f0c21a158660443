import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startService, type TestService } from '../setup/service.ts';
import { farMoreThan, stoodStill } from '../setup/watchdog.ts';

let service: TestService;
let session: { id: string; token: string };

beforeAll(async () => {
  service = await startService('postgres', {
    worker: false,
    env: { DEFIB_RATE_LIMIT_PER_MINUTE: '0' },
  });
  const agent = await service.agentToken('builder');
  const started = await service.call('POST', '/api/agents/builder/sessions', {
    token: agent,
    body: { objective: 'x' },
  });
  session = { id: started.body.session.id, token: started.body.token };
});
afterAll(() => service.stop());

const save = (input: unknown) =>
  service.call('POST', `/api/sessions/${session.id}/checkpoints`, {
    token: session.token,
    headers: { Prefer: 'respond-async' },
    body: { trigger: 'abuse', reasoning: { pendingToolCalls: [{ tool: 'x', input }] } },
  });

// Put together at run time, so that no scanner takes this file for a leak.
const secretNo = (n: number) => `${['password', 's3cr3t'].join('=')}${String(n).padStart(6, '0')}`;
const keys = (count: number, name: (n: number) => string) =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [name(n), 1]));

const nested = (depth: number, inside: unknown): unknown =>
  depth === 0 ? inside : { ['k'.repeat(1000)]: nested(depth - 1, inside) };

describe('the event loop goes on while it reads', () => {
  it.each<[string, unknown]>([
    ['thousands of keys that redact to one name', keys(8000, secretNo)],
    [
      'such keys that are numbered already',
      { ...keys(3000, secretNo), ...keys(3000, (n) => `password=[redacted: credential] (${n})`) },
    ],
    ['a list under a key of 100 KB', { ['k'.repeat(100_000)]: Array(30_000).fill('a') }],
    [
      'a list of secrets under such a key',
      { ['k'.repeat(90_000)]: Array.from({ length: 4000 }, (_, n) => secretNo(n)) },
    ],
    ['a list under many long keys', nested(90, Array(30_000).fill('a'))],
  ])('%s', { timeout: 60_000 }, async (_what, input) => {
    const size = JSON.stringify(input).length;
    const harmless = { lines: Array(Math.ceil(size / 104)).fill('a'.repeat(100)) };
    expect((await save(harmless)).status).toBe(202);
    const floor = await stoodStill(() => save(harmless));
    let answer: { status: number } | undefined;
    const worst = await stoodStill(async () => (answer = await save(input)));
    expect(answer?.status).toBe(202);
    expect(worst).toBeLessThan(farMoreThan(floor));
  });
});

describe('what is wrong is told within limits', () => {
  it.each<[string, unknown]>([
    ['70,000 unknown keys', keys(70_000, (n) => `key${n}`)],
    ['a key of 900 KB', { ['k'.repeat(900_000)]: 1 }],
    ['100,000 items of a wrong type', { repos: Array(100_000).fill(1) }],
  ])('%s', async (_what, body) => {
    const answer = await service.call('PUT', '/api/agents/builder', { body: body as object });
    expect(answer).toMatchObject({ status: 422, body: { code: 'invalid' } });
    expect(answer.text.length).toBeLessThan(32_000);
    expect(answer.body.errors.length).toBeLessThanOrEqual(51);
  });

  it('with how many more there are', async () => {
    const answer = await service.call('PUT', '/api/agents/builder', {
      body: keys(1050, (n) => `key${n}`),
    });
    expect(answer.body.errors.at(-1)).toEqual({ path: 'body', message: 'and 1000 more are wrong' });
  });
});
