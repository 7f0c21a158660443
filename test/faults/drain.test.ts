import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { newDataDir } from '../db/embedded/harness.ts';
import { holdRuns } from '../setup/hold.ts';
import { allRuns, beatMany, type Outcome, tally } from '../setup/load.ts';
import { type Entry, type ServiceProcess, startProcess } from '../setup/processes.ts';
import {
  backends,
  type Call,
  caller,
  serviceEnv,
  startService,
  type TestService,
} from '../setup/service.ts';
import { until } from '../setup/until.ts';

/** What a process may take beyond DEFIB_DRAIN_SECONDS, on a busy machine. */
const BOUND_MS = 8000;

async function spawn(entry: Entry, env: Record<string, string>): Promise<ServiceProcess> {
  const started = await startProcess(entry, env);
  onTestFinished(started.kill);
  return started;
}

/** Sends the signal, and expects the process to end in time and with success. */
async function expectEnd(process: ServiceProcess, drainSeconds: number, more?: NodeJS.Signals[]) {
  const began = performance.now();
  process.send('SIGTERM');
  for (const signal of more ?? []) process.send(signal);
  expect(await process.exited, process.output()).toBe(0);
  expect(performance.now() - began).toBeLessThan(drainSeconds * 1000 + BOUND_MS);
}

/**
 * Callers got a result, the address of one, or no connection; nobody's accepted heartbeat was
 * dropped. Afterwards `call` reaches a service that goes on with what is left.
 */
async function expectNothingLost(call: Call, outcomes: Outcome[]): Promise<void> {
  const counts = tally(outcomes);
  const accepted = (counts['200'] ?? 0) + (counts['202'] ?? 0);
  expect(Object.keys(counts).filter((key) => !['200', '202', '503', 'cut'].includes(key))).toEqual(
    [],
  );
  const runs = await until('all runs are finished', async () => {
    const all = await allRuns(call);
    return [...all.values()].every((run) => run.finishedAt) ? all : undefined;
  });
  expect(runs.size).toBe(accepted);
  for (const outcome of outcomes) {
    if (outcome?.status === 503) continue;
    if (outcome) expect(runs.get(outcome.body.runId)).toMatchObject({ status: 'ok' });
    if (outcome?.status !== 200) continue;
    const { runId, ...answer } = outcome.body;
    expect(runs.get(runId)).toMatchObject(answer);
  }
}

/** Callers without end, until the service is gone. */
function startLoad(call: Call, token: string) {
  const stop = new AbortController();
  let answered = 0;
  const beat = async () => {
    const answer = await call('POST', '/api/agents/builder/heartbeat', { token });
    answered += 1;
    return answer;
  };
  const load = beatMany(beat, { callers: 16, until: stop.signal });
  return {
    answered: async (count: number) => {
      const enough = answered + count;
      await until('callers are answered', () => answered >= enough);
    },
    end: () => {
      stop.abort();
      return load;
    },
  };
}

describe.each(backends)('SIGTERM on %s', (backend) => {
  /** Works on nothing: it holds the database, and shows the runs. */
  let service: TestService;
  let token: string;
  let env: Record<string, string>;
  const operator = (process: ServiceProcess) =>
    caller(process.url, service.env['DEFIB_OPERATOR_TOKEN']!);

  beforeEach(async () => {
    service = await startService(backend, {
      worker: false,
      env: { DEFIB_RATE_LIMIT_PER_MINUTE: '0', DEFIB_DRAIN_SECONDS: '6' },
    });
    env = service.env;
    token = await service.agentToken('builder');
  });
  afterEach(() => service.stop());

  async function finishTheRest(outcomes: Outcome[]): Promise<void> {
    const { database } = service;
    const next = await startService(backend, { web: false, database, env });
    onTestFinished(next.stop);
    await expectNothingLost(service.call, outcomes);
  }

  it('under load, API and workers in one process', async () => {
    const main = await spawn('main', env);
    const load = startLoad(operator(main), token);
    await load.answered(100);
    await expectEnd(main, 6);
    const outcomes = await load.end();
    await finishTheRest(outcomes);
    expect(tally(outcomes)['200']).toBeGreaterThanOrEqual(100);
  });

  it('under load, API and workers apart', async () => {
    const [web, first, second] = await Promise.all([
      spawn('web', env),
      spawn('worker', env),
      spawn('worker', env),
    ]);
    const load = startLoad(operator(web), token);
    await load.answered(50);
    await expectEnd(first, 6);
    await load.answered(50);
    await expectEnd(web, 6);
    await expectEnd(second, 6);
    const outcomes = await load.end();
    await finishTheRest(outcomes);
    expect(tally(outcomes)['202']).toBeUndefined();
  });

  it('with a run that takes too long: it is given back at once', async () => {
    const main = await spawn('main', { ...env, DEFIB_DRAIN_SECONDS: '2' });
    const hold = await holdRuns(service.database.url);
    onTestFinished(hold.release);
    const waiting = operator(main)('POST', '/api/agents/builder/heartbeat', { token });
    await hold.holds();
    // Whoever presses Ctrl-C twice, or is signalled by a whole process group, does no harm.
    const [answer] = await Promise.all([
      waiting,
      expectEnd(main, 2, ['SIGTERM', 'SIGINT', 'SIGTERM']),
    ]);
    expect(answer.status).toBe(202);
    expect(answer.headers.get('location')).toBe(`/api/runs/${answer.body.runId}`);

    const { db, queues } = service.started.deps;
    const row = await db.selectFrom('runs').selectAll().executeTakeFirstOrThrow();
    expect(row).toMatchObject({
      id: answer.body.runId,
      status: 'queued',
      claimed_by: null,
      claim_expires_at: null,
      dispatch: 2,
    });
    const { id, kind, agent_name: agentName, dispatch } = row;
    expect(await queues.isPending({ id, kind, agentName, dispatch, host: null })).toBe(true);
    await hold.release();
    await finishTheRest([answer]);
  });

  it('answers who comes during the drain: come back', { timeout: 60_000 }, async () => {
    const web = await spawn('web', { ...env, DEFIB_DRAIN_SECONDS: '10' });
    const call = operator(web);
    // Connections that are kept open, as those of every client.
    await Promise.all(Array.from({ length: 8 }, () => call('GET', '/api/runs')));
    const waiting = call('POST', '/api/agents/builder/heartbeat', { token });
    await until('it is accepted', async () => (await allRuns(service.call)).size > 0);
    web.send('SIGTERM');
    await until('it drains', async () => (await call('GET', '/readyz')).status === 503);
    const late = await Promise.all(Array.from({ length: 8 }, () => call('GET', '/api/runs')));
    for (const answer of late) {
      expect(answer).toMatchObject({ status: 503, body: { code: 'unavailable' } });
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    }
    expect((await call('GET', '/healthz')).status).toBe(200);
    expect((await waiting).status).toBe(202);
    expect(await web.exited).toBe(0);
  });

  it('and SIGINT, as Ctrl-C sends, end it alike', async () => {
    const main = await spawn('main', env);
    main.send('SIGINT');
    expect(await main.exited).toBe(0);
  });
});

it('SIGTERM under load stops the embedded PostgreSQL cleanly', async () => {
  const dataDir = await newDataDir();
  const { DATABASE_URL: _none, ...env } = serviceEnv('postgres', '');
  env['DEFIB_DATA_DIR'] = dataDir;
  env['DEFIB_RATE_LIMIT_PER_MINUTE'] = '0';
  const first = await spawn('main', env);
  const operatorToken = env['DEFIB_OPERATOR_TOKEN']!;
  const call = caller(first.url, operatorToken);
  await call('PUT', '/api/agents/builder', { body: {} });
  const load = startLoad(call, operatorToken);
  await load.answered(100);
  await expectEnd(first, 20);
  const outcomes = await load.end();

  expect(existsSync(join(dataDir, 'postgres', 'postmaster.pid'))).toBe(false);
  const log = await readFile(join(dataDir, 'postgres.log'), 'utf8');
  expect(log).toContain('database system is shut down');
  const second = await spawn('main', env);
  await expectNothingLost(caller(second.url, operatorToken), outcomes);
  const nextLog = await readFile(join(dataDir, 'postgres.log'), 'utf8');
  expect(nextLog).not.toContain('not properly shut down');
  await expectEnd(second, 20);
});
