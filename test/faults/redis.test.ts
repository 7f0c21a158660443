import { Redis } from 'ioredis';
import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HOUSEKEEPING_QUEUE } from '../../src/jobs/queues.ts';
import { holdRuns } from '../setup/hold.ts';
import { beatMany, tally } from '../setup/load.ts';
import { startProcess } from '../setup/processes.ts';
import { canStartRedis, flushableRedis } from '../setup/redis.ts';
import type { RedisServer } from '../setup/redisServer.ts';
import { startService, type TestService } from '../setup/service.ts';
import { until } from '../setup/until.ts';

const SHORT = { claimSeconds: 2, renewMs: 500, sweepMs: 200 };

describe.skipIf(!canStartRedis())('a Redis that loses everything', () => {
  let redis: RedisServer;
  let service: TestService;
  let token: string;
  let stops: (() => Promise<unknown>)[];

  beforeEach(async () => {
    redis = await flushableRedis();
    service = await startService('redis', {
      env: { REDIS_URL: redis.url, DEFIB_WORKER_CONCURRENCY: '4', DEFIB_DRAIN_SECONDS: '2' },
      timings: SHORT,
    });
    token = await service.agentToken('builder');
    stops = [];
  });
  afterEach(async () => {
    await Promise.all(stops.map((stop) => stop()));
    await service.stop();
    await redis.stop();
  });

  const db = () => service.started.deps.db;
  const beat = (prefer = 'wait=25') =>
    service.call('POST', '/api/agents/builder/heartbeat', { token, headers: { Prefer: prefer } });
  const runs = () => db().selectFrom('runs').selectAll().execute();
  const active = async () => (await runs()).filter(({ status }) => status === 'running').length;
  const waiting = async (count: number) =>
    void (await until('callers wait', () => service.started.deps.waiters.count() === count));
  const schedulers = () =>
    service.started.deps.queues.all
      .find(({ name }) => name === HOUSEKEEPING_QUEUE)!
      .getJobSchedulersCount()
      .catch(() => 0);
  /** As if the sweep had waited as long as it does before it looks for a queued run. */
  const ageDispatches = () =>
    sql`UPDATE runs SET dispatched_at = now() - interval '1 min' WHERE status = 'queued'`.execute(
      db(),
    );
  const readiness = () => service.call('GET', '/readyz');

  it('by FLUSHALL, with runs active and queued: all are finished, and schedules come back', async () => {
    await until('housekeeping is scheduled', async () => (await schedulers()) === 1);
    const hold = await holdRuns(service.database.url);
    stops.push(hold.release);
    const callers = Promise.all(Array.from({ length: 12 }, () => beat()));
    await hold.holds();
    await until('as many as the worker takes are active', async () => (await active()) === 4);
    await waiting(12);
    await redis.flush();
    await ageDispatches();
    await hold.release();

    const answers = await callers;
    expect(tally(answers)).toEqual({ 200: 12 });
    expect(new Set(answers.map(({ body }) => body.status))).toEqual(new Set(['ok']));
    expect(await runs()).toHaveLength(12);
    await until('housekeeping is scheduled again', async () => (await schedulers()) === 1);
    expect((await beat()).status).toBe(200);
  });

  it('by FLUSHALL again and again under load: nobody is lost', async () => {
    const stop = new AbortController();
    const load = beatMany(() => beat(), { callers: 16, until: stop.signal });
    for (let flush = 1; flush <= 5; flush += 1) {
      const before = (await runs()).length;
      await until('more is accepted', async () => (await runs()).length > before + 50);
      await redis.flush();
    }
    stop.abort();
    await until('all is dispatched again', async () => {
      await ageDispatches();
      return (await runs()).every((run) => run.finished_at);
    });
    const outcomes = await load;
    expect(tally(outcomes)).toEqual({ 200: outcomes.length });
    expect(await runs()).toHaveLength(outcomes.length);
  });

  it('by kill -9 with runs active and queued, and is back after a while', async () => {
    const hold = await holdRuns(service.database.url);
    stops.push(hold.release);
    const callers = Promise.all(Array.from({ length: 12 }, () => beat()));
    await hold.holds();
    await until('as many as the worker takes are active', async () => (await active()) === 4);
    await waiting(12);
    await redis.kill();
    await hold.release();
    await until('the active ones are finished', async () => {
      return (await runs()).filter((run) => run.finished_at).length === 4;
    });
    await redis.start();
    await ageDispatches();
    expect(tally(await callers)).toEqual({ 200: 12 });
    expect(await runs()).toHaveLength(12);
    await until('housekeeping is scheduled again', async () => (await schedulers()) === 1);
  });

  it('is away when a heartbeat comes: it is accepted, and answered late or once it is back', async () => {
    await redis.kill();
    await until('it shows', async () => (await readiness()).status === 503);
    expect((await readiness()).body).toMatchObject({
      status: 'not ready',
      checks: { database: 'ok', queue: 'does not answer' },
    });
    expect((await service.call('GET', '/healthz')).status).toBe(200);

    const patient = beat('wait=25');
    const late = await beat('wait=1');
    expect(late.status).toBe(202);
    expect(late.headers.get('location')).toBe(`/api/runs/${late.body.runId}`);
    expect(await runs()).toHaveLength(2);

    await redis.start();
    await until('it shows', async () => (await readiness()).status === 200);
    await ageDispatches();
    expect(await patient).toMatchObject({ status: 200, body: { status: 'ok' } });
    const done = await service.call('GET', late.body.location, { headers: { Prefer: 'wait=20' } });
    expect(done.body.status).toBe('ok');
    expect(await runs()).toHaveLength(2);
  });
});

/** How long a process may take that has 2 s to drain, with nothing to wait for but connections. */
const END_MS = 9000;

describe.skipIf(!canStartRedis())('stopping when Redis', () => {
  let redis: RedisServer;
  let service: TestService;
  beforeEach(async () => {
    redis = await flushableRedis();
    service = await startService('redis', {
      env: { REDIS_URL: redis.url, DEFIB_DRAIN_SECONDS: '2' },
    });
    await service.agentToken('builder');
  });
  afterEach(() => redis.stop());

  const freeze = async () => {
    const client = new Redis(redis.url);
    const info = await client.info('server');
    client.disconnect();
    const pid = Number(/process_id:(\d+)/.exec(info)?.[1]);
    process.kill(pid, 'SIGSTOP');
    return () => process.kill(pid, 'SIGCONT');
  };

  it.each([
    ['was killed', async () => (await redis.kill(), () => true)],
    ['hangs', freeze],
  ])('%s ends in time, in every process and with success', async (_what, breakRedis) => {
    const processes = await Promise.all(
      (['web', 'worker', 'main'] as const).map((entry) => startProcess(entry, service.env)),
    );
    const resume = await breakRedis();
    try {
      const beat = { headers: { Prefer: 'respond-async' } };
      expect((await service.call('POST', '/api/agents/builder/heartbeat', beat)).status).toBe(202);
      const began = performance.now();
      processes.forEach((each) => each.send('SIGTERM'));
      const codes = await Promise.all([...processes.map(({ exited }) => exited), service.stop()]);
      expect(performance.now() - began).toBeLessThan(END_MS);
      expect(codes).toEqual([0, 0, 0, undefined]);
    } finally {
      resume();
      await Promise.all(processes.map(({ kill }) => kill()));
    }
  });
});
