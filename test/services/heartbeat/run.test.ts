import { expect, it } from 'vitest';
import type { AgentAtWork } from '../../../src/db/queries/agents.ts';
import type { Run } from '../../../src/db/schema.ts';
import { AppError } from '../../../src/errors.ts';
import { runHeartbeat } from '../../../src/services/heartbeat/run.ts';
import type { HeartbeatDeps, Step } from '../../../src/services/heartbeat/step.ts';

const run = {
  id: '01920000-0000-7000-8000-000000000000',
  agent_name: 'builder',
  kind: 'heartbeat',
} as Run;

type Options = { signal?: AbortSignal };

async function pass(steps: Partial<Step>[], options: Options = {}) {
  const logged: object[] = [];
  const note = (fields: object) => void logged.push(fields);
  const log = { debug: note, info: note, warn: note, error: note, child: () => log };
  const full = steps.map((step, index): Step => ({
    name: `step ${index}`,
    level: 'best-effort',
    timeoutMs: 10_000,
    run: () => Promise.resolve({}),
    ...step,
  }));
  // These steps are the test's own: of the dependencies, the pass itself uses the log alone.
  const deps = { log, heartbeatSeconds: 60 } as unknown as HeartbeatDeps;
  const signal = options.signal ?? new AbortController().signal;
  return { result: await runHeartbeat(deps, full, run, signal), logged };
}

const fail = (error: Error) => async () => {
  throw error;
};
const slow = () => new Promise<object>((resolve) => void setTimeout(resolve, 30, {}));
const warn = (...warnings: string[]) => ({ run: async () => ({ warnings }) });

it('runs the steps in order and adds up what they found', async () => {
  const order: string[] = [];
  const named = (name: string, report: object) => ({
    name,
    run: async () => {
      order.push(name);
      return report;
    },
  });
  const { result } = await pass([
    named('first', {
      summary: 'synced 2 repositories',
      touchedIssueUrls: ['https://b', 'https://a'],
    }),
    named('second', { skipped: true }),
    named('third', { summary: 'closed 1 claim', touchedIssueUrls: ['https://a'] }),
  ]);
  expect(order).toEqual(['first', 'second', 'third']);
  expect(result).toMatchObject({
    status: 'ok',
    summary: 'Synced 2 repositories, closed 1 claim.',
    touchedIssueUrls: ['https://a', 'https://b'],
    steps: [
      { name: 'first', status: 'ok' },
      { name: 'second', status: 'skipped' },
      { name: 'third', status: 'ok' },
    ],
    nextHeartbeatSeconds: 60,
  });
  for (const step of result.steps) expect(Number.isInteger(step.duration_ms)).toBe(true);
});

it('measures how long a step takes', async () => {
  const { result } = await pass([{ run: slow }]);
  expect(result.steps[0]!.duration_ms).toBeGreaterThanOrEqual(29);
});

it('turns a failed best-effort step into a warning and goes on', async () => {
  const { result } = await pass([
    { name: 'sync', run: fail(new AppError('unavailable', 'acme/one: GitHub does not answer.')) },
    { name: 'after', run: () => Promise.resolve({ summary: 'went on' }) },
  ]);
  expect(result).toMatchObject({
    status: 'warning',
    summary: 'Went on; 1 warning.',
    warnings: ['sync: acme/one: GitHub does not answer.'],
    errors: [],
    steps: [
      { name: 'sync', status: 'warning' },
      { name: 'after', status: 'ok' },
    ],
  });
});

it('ends with an error at a failed critical step and skips the rest', async () => {
  let ran = false;
  const { result } = await pass([
    { name: 'warned', run: () => Promise.resolve({ warnings: ['sync: slow.'] }) },
    { name: 'load', level: 'critical', run: fail(new AppError('not_found', 'no such agent.')) },
    { name: 'after', run: async () => ((ran = true), {}) },
  ]);
  expect(result).toMatchObject({
    status: 'error',
    summary: 'Stopped: load: no such agent.',
    warnings: ['sync: slow.'],
    errors: ['load: no such agent.'],
    steps: [
      { name: 'warned', status: 'warning' },
      { name: 'load', status: 'error' },
      { name: 'after', status: 'skipped', duration_ms: 0 },
    ],
  });
  expect(ran).toBe(false);
});

it('leaves a step that ignores its signal at its deadline', async () => {
  let signal: AbortSignal | undefined;
  const deaf = (_pass: unknown, given: AbortSignal) => {
    signal = given;
    return new Promise<never>(() => undefined);
  };
  const { result } = await pass([{ name: 'sync', timeoutMs: 20, run: deaf }, { name: 'after' }]);
  expect(result.warnings).toEqual([
    'sync: not done within 0.02 s and left for the next heartbeat.',
  ]);
  expect(result.steps.map(({ status }) => status)).toEqual(['warning', 'ok']);
  expect(signal?.aborted).toBe(true);
});

it('says each warning once, in the order in which they came', async () => {
  const { result } = await pass([warn('b', 'a', 'b'), warn('a', 'c')]);
  expect(result.warnings).toEqual(['b', 'a', 'c']);
  expect(result.summary).toBe('Nothing to do; 3 warnings.');
});

it('tells nothing internal of an error that it does not know, and logs it', async () => {
  const secret = 'password authentication failed for "defib" at 10.0.0.7';
  const { result, logged } = await pass([
    { name: 'load', level: 'critical', run: fail(new Error(secret)) },
  ]);
  const text = JSON.stringify(result);
  expect(text).not.toContain('password');
  expect(text).not.toContain('10.0.0.7');
  expect(result.errors).toEqual([expect.stringContaining(run.id)]);
  expect(logged).toEqual([{ err: new Error(secret), runId: run.id, step: 'load' }]);
});

it('keeps texts that PostgreSQL could not store', async () => {
  const warnings = ['before\0after', `half \ud800 a character`];
  const { result } = await pass([{ run: () => Promise.resolve({ warnings }) }]);
  expect(result.warnings).toEqual(['beforeafter', 'half \ufffd a character']);
});

it('throws and begins no step when the pass is stopped, before or in the middle', async () => {
  const ran: string[] = [];
  const begin = (name: string) => async () => (ran.push(name), {});
  const stopped = AbortSignal.abort(new Error('draining'));
  await expect(pass([{ run: begin('early') }], { signal: stopped })).rejects.toThrow('draining');

  const controller = new AbortController();
  const stopInside = () => {
    controller.abort(new Error('claim lost'));
    return new Promise<never>(() => undefined);
  };
  const steps = [{ run: stopInside }, { run: begin('late') }];
  await expect(pass(steps, { signal: controller.signal })).rejects.toThrow('claim lost');
  expect(ran).toEqual([]);
});

it("takes the pace from the agent's policy once it is known", async () => {
  const agent = { policy: { heartbeatSeconds: 7 } } as AgentAtWork;
  const load: Step['run'] = async (given) => ((given.agent = agent), {});
  const { result } = await pass([{ run: load }]);
  expect(result.nextHeartbeatSeconds).toBe(7);
});
