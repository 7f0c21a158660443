import { afterEach, describe, expect, it } from 'vitest';
import { newId } from '../../src/services/ids.ts';
import { type FakeGitHub, startFakeGitHub } from '../setup/github/fake.ts';
import { backends, startService, type TestService } from '../setup/service.ts';
import { until } from '../setup/until.ts';

const open: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.stop();
});

async function serve(...args: Parameters<typeof startService>): Promise<TestService> {
  const service = await startService(...args);
  open.push(service);
  return service;
}

const beatOf = async (service: TestService, agentName: string, prefer = 'respond-async') => {
  const token = await service.agentToken(agentName);
  return (headers: Record<string, string> = {}) =>
    service.call('POST', `/api/agents/${agentName}/heartbeat`, {
      token,
      headers: { Prefer: prefer, ...headers },
    });
};

describe.each(backends)('agents take turns on %s', (backend) => {
  it('however many heartbeats one of them sent before', async () => {
    const web = await serve(backend, { worker: false, env: { DEFIB_RATE_LIMIT_PER_MINUTE: '0' } });
    const [flood, other] = [await beatOf(web, 'flood'), await beatOf(web, 'other')];
    for (let n = 0; n < 40; n += 1) expect((await flood()).status).toBe(202);
    expect((await other()).status).toBe(202);
    await until('all are in the queue', async () => {
      const [queue] = web.started.deps.queues.all;
      const { waiting = 0, prioritized = 0 } = (await queue?.getJobCounts()) ?? {};
      return waiting + prioritized === 41;
    });
    const env = { ...web.env, DEFIB_WORKER_CONCURRENCY: '1' };
    await serve(backend, { web: false, database: web.database, env });
    const runs = await until('all runs are finished', async () => {
      const { items } = (await web.call('GET', '/api/runs?limit=100')).body;
      return items.every((run: { finishedAt: string | null }) => run.finishedAt)
        ? items
        : undefined;
    });
    const order = runs
      .toSorted((a: { startedAt: string }, b: { startedAt: string }) =>
        a.startedAt < b.startedAt ? -1 : 1,
      )
      .map((run: { agentName: string }) => run.agentName);
    expect(order.indexOf('other')).toBeLessThan(3);
  });

  it('while others wait for a GitHub that does not answer', { timeout: 30_000 }, async () => {
    const github: FakeGitHub = await startFakeGitHub({ token: 'gh-secret' });
    open.push({ stop: () => github.close() });
    const service = await serve(backend, {
      env: {
        GITHUB_API_URL: github.url,
        GITHUB_TOKEN: 'gh-secret',
        DEFIB_WORKER_CONCURRENCY: '1',
      },
    });
    github.repo('acme/slow', { issues: 1 });
    const fault = github.fault({ kind: 'hold' });
    await service.call('PUT', '/api/agents/slow', { body: { repos: ['acme/slow'] } });
    const slow = await beatOf(service, 'slow', 'wait=20');
    const quick = await beatOf(service, 'quick', 'wait=20');
    const held = [slow(), slow(), slow()];
    await fault.reached;
    expect((await quick()).status).toBe(200);
    const waiting = await service.call('GET', '/api/runs?agentName=slow');
    expect(waiting.body.items.map((run: { finishedAt: null }) => run.finishedAt)).toContain(null);
    fault.release();
    expect((await Promise.all(held)).map(({ status }) => status)).toEqual([200, 200, 200]);
  });
});

describe('what waits is limited', () => {
  it('for each agent: others are let in', async () => {
    const web = await serve('postgres', {
      worker: false,
      env: { DEFIB_MAX_QUEUED_PER_AGENT: '3' },
    });
    const [flood, other] = [await beatOf(web, 'flood'), await beatOf(web, 'other')];
    const first = await flood({ 'Idempotency-Key': 'first' });
    const answers = [first, ...(await Promise.all([flood(), flood(), flood(), flood()]))];
    expect(answers.map(({ status }) => status).toSorted()).toEqual([202, 202, 202, 429, 429]);
    const refused = answers.find(({ status }) => status === 429);
    expect(refused).toMatchObject({ body: { code: 'rate_limited' } });
    expect(refused?.body.detail).toContain('3 heartbeats');
    expect(Number(refused?.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await other()).status).toBe(202);
    // The same request is the same run, also now.
    const again = await flood({ 'Idempotency-Key': 'first' });
    expect(again).toMatchObject({ status: 202, body: { runId: first.body.runId } });
  });

  it('for each agent, also of checkpoints', async () => {
    const web = await serve('postgres', {
      worker: false,
      env: { DEFIB_MAX_QUEUED_PER_AGENT: '2' },
    });
    const token = await web.agentToken('flood');
    const { body } = await web.call('POST', '/api/agents/flood/sessions', {
      token,
      body: { objective: 'x' },
    });
    const save = () =>
      web.call('POST', `/api/sessions/${body.session.id}/checkpoints`, {
        token: body.token,
        headers: { Prefer: 'respond-async' },
        body: { trigger: 'x', reasoning: { nextStep: 'go on' } },
      });
    expect([await save(), await save(), await save()]).toMatchObject([
      { status: 202 },
      { status: 202 },
      { status: 429, body: { code: 'rate_limited' } },
    ]);
  });

  it('for heartbeats apart from the work on sessions', async () => {
    const web = await serve('postgres', { worker: false, env: { DEFIB_MAX_QUEUED: '5' } });
    const beat = await beatOf(web, 'builder');
    const { db } = web.started.deps;
    const agent = await db.selectFrom('agents').select('id').executeTakeFirstOrThrow();
    const run = { agent_id: agent.id, agent_name: 'builder', kind: 'resume' as const };
    const rows = Array.from({ length: 20 }, () => ({ id: newId(), ...run, input: '{}' }));
    await db.insertInto('runs').values(rows).execute();
    expect((await beat()).status).toBe(202);
  });
});
