import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { claimRuns, releaseClaim } from '../../src/db/queries/run-claims.ts';
import type { Run } from '../../src/db/schema.ts';
import { RUN_QUEUES } from '../../src/jobs/queues.ts';
import { sweep, SWEEP_LIMITS } from '../../src/jobs/sweep.ts';
import { createAcceptHeartbeat } from '../../src/services/heartbeat/accept.ts';
import { putAgent } from '../../src/services/agents/put.ts';
import { backends, startService, type TestService } from '../setup/service.ts';
import { until } from '../setup/until.ts';

const NOTHING = { requeued: 0, failed: 0, redispatched: 0 };

describe.each(backends)('the sweep on %s', (backend) => {
  let service: TestService;
  let deps: TestService['started']['deps'];
  const run = (limits = SWEEP_LIMITS) => sweep(deps, limits);

  beforeEach(async () => {
    service = await startService(backend, { web: false, worker: false });
    deps = service.started.deps;
    await putAgent(deps.db, 'builder', {});
  });
  afterEach(() => service.stop());

  /** Runs that are recorded, and not handed to the queue. */
  async function accept(count: number): Promise<string[]> {
    const accept = createAcceptHeartbeat(deps.db);
    const request = { agentName: 'builder', input: {}, idempotencyKey: undefined };
    const accepted = await Promise.all(Array.from({ length: count }, () => accept(request)));
    return accepted.map(({ runId }) => runId);
  }

  const enqueue = (id: string) =>
    deps.queues.enqueueRun(
      { id, kind: 'heartbeat', agentName: 'builder', dispatch: 1, host: null },
      null,
    );

  const rows = () => deps.db.selectFrom('runs').selectAll().orderBy('id').execute();
  const row = async (id: string): Promise<Run> => (await rows()).find((run) => run.id === id)!;

  /** As if a minute had passed since runs were dispatched and claims renewed. */
  const age = () =>
    sql`UPDATE runs SET dispatched_at = dispatched_at - interval '1 min',
      claim_expires_at = claim_expires_at - interval '1 min'`.execute(deps.db);

  const claim = async (ids: string[]) => {
    const claimed = await claimRuns(deps.db, {
      ids,
      holder: 'dead',
      leaseSeconds: 20,
      maxDeaths: 3,
    });
    return claimed.map(({ epoch }) => epoch);
  };

  const isQueued = ({ id, kind, agent_name, dispatch }: Run) =>
    deps.queues.isPending({ id, kind, agentName: agent_name, dispatch, host: null });

  it('leaves alone what is fresh, what is claimed and what is finished', async () => {
    const [, claimed, finished] = await accept(3);
    await claim([claimed!, finished!]);
    await deps.db
      .updateTable('runs')
      .set({ status: 'ok', finished_at: new Date(0), claim_expires_at: new Date(0) })
      .where('id', '=', finished!)
      .execute();
    const before = await rows();
    expect(await run()).toEqual(NOTHING);
    expect(await rows()).toEqual(before);
  });

  it('dispatches again what the queue has lost, once', async () => {
    const [id] = await accept(1);
    await age();
    expect(await run()).toEqual({ ...NOTHING, redispatched: 1 });
    expect(await row(id!)).toMatchObject({ status: 'queued', dispatch: 2 });
    expect(await isQueued(await row(id!))).toBe(true);
    await age();
    expect(await run()).toEqual(NOTHING);
  });

  it('takes a backlog for no loss', async () => {
    const ids = await accept(5);
    await Promise.all(ids.map(enqueue));
    await age();
    expect(await run()).toEqual(NOTHING);
    expect(new Set((await rows()).map(({ dispatch }) => dispatch))).toEqual(new Set([1]));
  });

  it('dispatches again what a worker fetched that died before it claimed it', async () => {
    const [id] = await accept(1);
    await enqueue(id!);
    const fetched = Promise.withResolvers<void>();
    const hangs = () => {
      fetched.resolve();
      return new Promise<never>(() => undefined);
    };
    const worker = deps.queues.backend.openWorker(RUN_QUEUES.heartbeat, hangs, { concurrency: 1 });
    worker.on('error', () => undefined);
    await fetched.promise;
    await age();
    expect(await run()).toEqual({ ...NOTHING, redispatched: 1 });
    expect(await row(id!)).toMatchObject({ status: 'queued', dispatch: 2 });
    await worker.close(true);
  });

  it('puts back what a dead worker had claimed', async () => {
    const [id] = await accept(1);
    expect(await claim([id!])).toEqual([1]);
    expect(await run()).toEqual(NOTHING);
    await age();
    expect(await run()).toEqual({ ...NOTHING, requeued: 1 });
    const requeued = await row(id!);
    expect(requeued).toMatchObject({ status: 'queued', claimed_by: null, claim_expires_at: null });
    expect(await isQueued(requeued)).toBe(true);
    expect(await claim([id!])).toEqual([2]);
  });

  it('ends what kills every worker with an error that says what to do', async () => {
    const [id] = await accept(1);
    const waiting = deps.waiters.wait(id!, { timeoutMs: 20_000 });
    for (let died = 1; died <= 3; died += 1) {
      expect(await claim([id!])).toEqual([died]);
      await age();
      expect(await run()).toEqual(
        died < 3 ? { ...NOTHING, requeued: 1 } : { ...NOTHING, failed: 1 },
      );
    }
    const failed = await row(id!);
    expect(failed).toMatchObject({ status: 'error', errors: [failed.summary] });
    expect(failed.summary).toMatch(/3 times .*logs.* next heartbeat/);
    expect(failed.finished_at!.getTime()).toBeGreaterThanOrEqual(failed.started_at!.getTime());
    expect(await waiting).toEqual(failed);
    expect(await claim([id!])).toEqual([]);
    await age();
    expect(await run()).toEqual(NOTHING);
  });

  it('counts deaths alone: a claim that was given back is none', async () => {
    const [id] = await accept(1);
    for (let drained = 1; drained <= 3; drained += 1) {
      expect(await claim([id!])).toEqual([drained]);
      expect(await releaseClaim(deps.db, { id: id!, epoch: drained })).toMatchObject({ id });
    }
    const outcomes = ['requeued', 'requeued', 'failed'] as const;
    for (const [earlier, outcome] of outcomes.entries()) {
      expect(await row(id!)).toMatchObject({ status: 'queued', deaths: earlier });
      await claim([id!]);
      await age();
      expect(await run()).toEqual({ ...NOTHING, [outcome]: 1 });
    }
    expect(await row(id!)).toMatchObject({ status: 'error', deaths: 3 });
  });

  it('counts a death that the next worker finds before the sweep does', async () => {
    const [id] = await accept(1);
    await claim([id!]);
    await age();
    expect(await claim([id!])).toEqual([2]);
    expect(await row(id!)).toMatchObject({ status: 'running', deaths: 1 });
  });

  it('takes each run once, however many sweep at the same time', async () => {
    const ids = await accept(40);
    await claim(ids.slice(0, 20));
    await age();
    const swept = await Promise.all(Array.from({ length: 6 }, () => run()));
    const sum = (key: keyof typeof NOTHING) => swept.reduce((total, each) => total + each[key], 0);
    expect(sum('requeued')).toBe(20);
    expect(sum('redispatched')).toBe(20);
    const all = await rows();
    expect(new Set(all.map(({ status, dispatch }) => `${status} ${dispatch}`))).toEqual(
      new Set(['queued 2']),
    );
    expect(await Promise.all(all.map(isQueued))).not.toContain(false);
  });

  it('takes no more than a batch at a time', async () => {
    const ids = await accept(12);
    await claim(ids.slice(0, 6));
    await age();
    const limits = { ...SWEEP_LIMITS, batch: 4 };
    expect(await run(limits)).toEqual({ requeued: 4, failed: 0, redispatched: 4 });
    expect(await run(limits)).toEqual({ requeued: 2, failed: 0, redispatched: 2 });
  });

  it('is done by every worker process in time, until all is finished', async () => {
    await accept(10);
    await age();
    const worker = await startService(backend, {
      web: false,
      database: service.database,
      env: { ...service.env },
      timings: { claimSeconds: 20, renewMs: 5000, sweepMs: 200 },
    });
    await until('all are finished', async () => (await rows()).every((run) => run.finished_at));
    await worker.stop();
    expect(new Set((await rows()).map(({ status }) => status))).toEqual(new Set(['ok']));
  });
});
