import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createWakeups } from '../../src/jobs/wakeups.ts';
import { startWorkers } from '../../src/jobs/workers.ts';
import { openResumeDeps } from '../../src/services/resume/deps.ts';
import { openHeartbeatDeps } from '../../src/services/heartbeat/deps.ts';
import { createClaims } from '../../src/services/runs/claims.ts';
import { allRuns, beatMany, type Outcome, tally } from '../setup/load.ts';
import { startProcess } from '../setup/processes.ts';
import { backends, caller, type Call, startService, type TestService } from '../setup/service.ts';

const UNLIMITED = { DEFIB_RATE_LIMIT_PER_MINUTE: '0' };

/** Every caller got its answer, each of a run of its own, and the run says the same for good. */
async function expectNobodyLost(call: Call, outcomes: Outcome[], total: number): Promise<void> {
  expect(tally(outcomes)).toEqual({ 200: total });
  const runs = await allRuns(call);
  expect(runs.size).toBe(total);
  for (const outcome of outcomes) {
    const { runId, ...answer } = outcome!.body;
    expect(runs.get(runId)).toMatchObject({ id: runId, ...answer, status: 'ok' });
    runs.delete(runId);
  }
  expect(runs.size).toBe(0);
  for (const outcome of outcomes.slice(0, 20)) {
    const { runId, ...answer } = outcome!.body;
    expect((await call('GET', `/api/runs/${runId}`)).body).toMatchObject(answer);
  }
}

describe.each(backends)('no caller is lost on %s', (backend) => {
  let service: TestService | undefined;
  const cleanups: (() => Promise<unknown>)[] = [];
  beforeEach(() => void (service = undefined));
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
    await service?.stop();
  });

  it('of 3,000, 32 at a time, in one process', async () => {
    service = await startService(backend, { env: UNLIMITED });
    const { call } = service;
    const token = await service.agentToken('builder');
    const outcomes = await beatMany(
      () => call('POST', '/api/agents/builder/heartbeat', { token }),
      { callers: 32, total: 3000 },
    );
    await expectNobodyLost(call, outcomes, 3000);
    expect(service.started.deps.waiters.count()).toBe(0);
  });

  it('of 1,000, when the API and two workers are processes apart', async () => {
    service = await startService(backend, { env: UNLIMITED, web: false, worker: false });
    const token = await service.agentToken('builder');
    const web = await startProcess('web', service.env);
    cleanups.push(web.kill);
    const workers = await Promise.all([1, 2].map(() => startProcess('worker', service!.env)));
    cleanups.push(...workers.map(({ kill }) => kill));
    const call = caller(web.url, service.env['DEFIB_OPERATOR_TOKEN']!);
    const outcomes = await beatMany(
      () => call('POST', '/api/agents/builder/heartbeat', { token }),
      { callers: 32, total: 1000 },
    );
    await expectNobodyLost(call, outcomes, 1000);
    const rows = await service.started.deps.db.selectFrom('runs').select('claimed_by').execute();
    expect(new Set(rows.map((row) => row.claimed_by)).size).toBe(2);
  });

  it('when every hint that a run is finished gets lost', async () => {
    service = await startService(backend, { env: UNLIMITED, worker: false });
    const { call, started } = service;
    const token = await service.agentToken('builder');
    const workers = await startDeafWorkers(started.deps);
    cleanups.push(() => workers.close(5000));
    const outcomes = await beatMany(
      () => call('POST', '/api/agents/builder/heartbeat', { token }),
      { callers: 32, total: 160 },
    );
    await expectNobodyLost(call, outcomes, 160);
  });
});

/** Workers on the service's queues whose hints to other processes all get lost. */
async function startDeafWorkers({
  config,
  db,
  log,
  queues,
  sessionSettings,
}: TestService['started']['deps']) {
  const claims = createClaims({
    db,
    holder: 'deaf',
    leaseSeconds: 20,
    renewMs: 5000,
    onError: () => undefined,
  });
  const wakeups = createWakeups({
    instance: 'deaf',
    wakeLocal: () => undefined,
    answerLocal: () => undefined,
    transport: { send: () => Promise.resolve(), close: () => Promise.resolve() },
    onError: () => undefined,
  });
  const heartbeat = openHeartbeatDeps({ config, db, log, instance: 'deaf' });
  const url = () => 'http://127.0.0.1:1';
  const sessionWork = await openResumeDeps({ config, db, log, url });
  const runRetentionDays = 30;
  const own = {
    wakeups,
    claims,
    heartbeat,
    sessionWork,
    runRetentionDays,
    sessionRetentionDays: 90,
    auditRetentionDays: 365,
  };
  const workers = startWorkers({
    deps: { db, log, queues, sessionSettings, ...own },
    log,
    host: config.hostname,
    concurrency: 16,
    sweepMs: 5000,
  });
  return {
    close: async (deadlineMs: number) => {
      await workers.close(deadlineMs);
      claims.close();
      await heartbeat.close();
    },
  };
}
