import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Run } from '../../src/db/schema.ts';
import { heartbeatSteps } from '../../src/services/heartbeat/steps/index.ts';
import { createClaims } from '../../src/services/runs/claims.ts';
import { type Hold, holdRuns } from '../setup/hold.ts';
import { type Entry, type ServiceProcess, startProcess } from '../setup/processes.ts';
import { backends, caller, startService, type TestService } from '../setup/service.ts';
import { until } from '../setup/until.ts';

/** From the death of a worker to the result of its run by another. */
const BOUND_MS = 45_000;

const SHORT = { claimSeconds: 2, renewMs: 500, sweepMs: 200 };

describe.each(backends)('kill -9 on %s', (backend) => {
  /** Opens database and queues and works on nothing, unless a test says so. */
  let service: TestService;
  let token: string;
  let hold: Hold;
  let started: { stop(): Promise<unknown> }[];

  beforeEach(async () => {
    started = [];
    service = await startService(backend, { worker: false });
    token = await service.agentToken('builder');
    hold = await holdRuns(service.database.url);
  });
  afterEach(async () => {
    await hold.release();
    await Promise.all(started.map((each) => each.stop()));
    await service.stop();
  });

  async function spawn(entry: Entry): Promise<ServiceProcess> {
    const process = await startProcess(entry, service.env);
    started.push({ stop: process.kill });
    return process;
  }
  async function startWorker(): Promise<TestService> {
    const { database, env } = service;
    const worker = await startService(backend, { web: false, database, env, timings: SHORT });
    started.push(worker);
    return worker;
  }

  const beat = (headers = {}, call = service.call) =>
    call('POST', '/api/agents/builder/heartbeat', { token, headers });
  const accept = async (): Promise<string> => {
    const { status, body } = await beat({ Prefer: 'respond-async' });
    expect(status).toBe(202);
    return body.runId;
  };

  const db = () => service.started.deps.db;
  const runs = () => db().selectFrom('runs').selectAll().execute();
  const rowOf = async (id: string): Promise<Run> => (await runs()).find((run) => run.id === id)!;
  const finished = (id: string, timeoutMs?: number) =>
    until('the run is finished', async () => (await rowOf(id)).finished_at, timeoutMs);
  /** As if the leases of all claims had passed. */
  const expireClaims = () =>
    sql`UPDATE runs SET claim_expires_at = now() - interval '1 s'
    WHERE claim_expires_at IS NOT NULL`.execute(db());

  it("another worker finishes a killed one's run in time, and its late result counts for nothing", async () => {
    const victim = await spawn('worker');
    const id = await accept();
    await hold.holds();
    expect(await rowOf(id)).toMatchObject({ status: 'running', epoch: 1 });
    victim.send('SIGKILL');
    const killedAt = performance.now();
    await hold.release();
    const heir = await spawn('worker');
    await finished(id, BOUND_MS);
    expect(performance.now() - killedAt).toBeLessThan(BOUND_MS);
    const { body } = await service.call('GET', `/api/runs/${id}`);
    expect(body).toMatchObject({ status: 'ok', summary: 'Nothing to do.' });
    expect(body.steps).toHaveLength(heartbeatSteps.length);
    expect(await rowOf(id)).toMatchObject({ epoch: 2 });
    expect(await runs()).toHaveLength(1);

    const before = await rowOf(id);
    const claims = createClaims({
      db: db(),
      holder: 'late',
      leaseSeconds: 20,
      renewMs: 5000,
      onError: () => undefined,
    });
    const late = {
      status: 'error' as const,
      summary: 'late',
      warnings: [],
      errors: ['late'],
      touchedIssueUrls: [],
      directives: [],
      nextHeartbeatSeconds: null,
      steps: [{ name: 'late', status: 'error' as const, duration_ms: 1 }],
    };
    for (const epoch of [1, 2]) expect(await claims.finish({ ...late, id, epoch })).toBeUndefined();
    claims.close();
    expect(await rowOf(id)).toEqual(before);
    expect((await service.call('GET', `/api/runs/${id}`)).body).toEqual(body);
    expect(heir.output()).toContain('the sweep found runs');
  });

  it('runs of callers whose API process was killed are finished', async () => {
    const web = await spawn('web');
    const call = caller(web.url, service.env['DEFIB_OPERATOR_TOKEN']!);
    const callers = Promise.allSettled(Array.from({ length: 8 }, () => beat({}, call)));
    await until('all are accepted', async () => (await runs()).length === 8);
    await startWorker();
    await until('all are claimed', async () =>
      (await runs()).every(({ status }) => status === 'running'),
    );
    await hold.holds();
    web.send('SIGKILL');
    const answers = await callers;
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 'rejected'));
    await hold.release();
    await until('all are finished', async () => (await runs()).every((run) => run.finished_at));
    expect((await runs()).map(({ status }) => status)).toEqual(answers.map(() => 'ok'));
  });

  it('a run that kills every worker ends with an error, and the workers go on', async () => {
    const deadly = await accept();
    for (let died = 1; died <= 3; died += 1) {
      const worker = await spawn('worker');
      await until('it is claimed', async () => (await rowOf(deadly)).epoch === died);
      await hold.holds();
      worker.send('SIGKILL');
      await worker.exited;
      await hold.cancel();
      await expireClaims();
    }
    const waiting = service.call('GET', `/api/runs/${deadly}`, {
      headers: { Prefer: 'wait=20' },
    });
    await hold.release();
    await startWorker();
    expect((await waiting).body).toMatchObject({
      status: 'error',
      errors: [expect.stringMatching(/3 times.*logs/)],
      steps: [],
    });
    expect((await beat()).body.status).toBe('ok');
    expect(await runs()).toHaveLength(2);
  });

  it('a worker that was frozen beyond its lease can neither finish nor give back the run', async () => {
    const frozen = await spawn('worker');
    const id = await accept();
    await hold.holds();
    const first = (await rowOf(id)).claimed_by;
    frozen.send('SIGSTOP');
    await expireClaims();
    await hold.cancel();
    const heir = await startWorker();
    await until('another claims it', async () => (await rowOf(id)).epoch === 2);
    await hold.holds();
    const held = await rowOf(id);
    expect(held).toMatchObject({ status: 'running', epoch: 2 });
    expect(held.claimed_by).not.toBe(first);

    // It wakes up, finds that its step failed, and writes that as the result; then it drains.
    frozen.send('SIGCONT');
    frozen.send('SIGTERM');
    expect(await frozen.exited).toBe(0);
    const { claim_expires_at: _renewed, ...same } = held;
    expect(await rowOf(id)).toMatchObject(same);

    await hold.release();
    await finished(id);
    expect(await rowOf(id)).toMatchObject({ epoch: 2, claimed_by: held.claimed_by });
    expect(heir.started.deps.instance).toBe(held.claimed_by);
  });
});
