import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { claimRuns } from '../../src/db/queries/run-claims.ts';
import { sweep, SWEEP_LIMITS } from '../../src/jobs/sweep.ts';
import { MAX_DEATHS } from '../../src/services/runs/claims.ts';
import { watchSessions } from '../../src/services/sessions/watch.ts';
import { filesOf, put } from '../services/git/helpers.ts';
import { endAll, makeDirty, type Resumable, startResumable } from '../setup/resumable.ts';
import { backends, type TestService } from '../setup/service.ts';
import { until } from '../setup/until.ts';
import { bundleOf, upload } from '../setup/upload.ts';

const ASYNC = { Prefer: 'respond-async' };
const SAID = { trigger: 'turn', turn: 7, reasoning: { done: ['my work'] } };

/** Every kind of run, and what waits for it, when each worker that takes it dies. */
describe.each(backends)('a run that is given up, on %s', (backend) => {
  let flow: Resumable;
  beforeAll(async () => {
    flow = await startResumable(
      backend,
      { DEFIB_CHECKPOINT_REMOTE: 'none', DEFIB_KEEP_RESULT_DAYS: '0' },
      { worker: false },
    );
  });
  afterAll(() => flow.stop());
  afterEach(() => endAll(flow.db()));

  const deps = () => flow.service.started.deps;
  const watch = async () => {
    const settings = deps().sessionSettings;
    const { runs } = await watchSessions({ ...deps(), settings, batch: 50 });
    await Promise.all(runs.map((run) => deps().queues.enqueueRun(run, null)));
  };
  const rowOf = (id: string) =>
    flow.db().selectFrom('runs').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
  const sessionRow = (id: string) =>
    flow.db().selectFrom('sessions').selectAll().where('id', '=', id).executeTakeFirstOrThrow();

  const claim = (id: string) =>
    claimRuns(flow.db(), { ids: [id], holder: 'dead', leaseSeconds: 20, maxDeaths: MAX_DEATHS });
  const expire = (id: string) =>
    sql`UPDATE runs SET claim_expires_at = now() - interval '1 s' WHERE id = ${id}`.execute(
      flow.db(),
    );
  /** Workers take the run and die, as often as it takes; then many look at once. */
  async function giveUp(id: string): Promise<void> {
    for (let died = 1; died <= MAX_DEATHS; died += 1) {
      expect(await claim(id)).toHaveLength(1);
      await expire(id);
      if (died < MAX_DEATHS) await sweep(deps(), SWEEP_LIMITS);
    }
    await Promise.all(Array.from({ length: 4 }, () => sweep(deps(), SWEEP_LIMITS)));
    expect(await rowOf(id)).toMatchObject({ deaths: MAX_DEATHS, finished_at: expect.any(Date) });
  }

  /** Works until `use` is done. */
  async function withWorker<T>(use: () => Promise<T>): Promise<T> {
    const worker: TestService = await flow.worker('here');
    try {
      return await use();
    } finally {
      await worker.stop();
    }
  }

  const unfinished = async (kind: string, sessionId: string) =>
    (await flow.runs(kind, sessionId)).filter((run) => !run.finishedAt);

  it('a heartbeat: its caller is told that the next one makes a new pass', async () => {
    const beat = flow.service.call('POST', '/api/agents/builder/heartbeat', { token: flow.agent });
    const run = await until('it is accepted', async () => (await flow.runs('heartbeat'))[0]);
    await giveUp(run.id);
    const answer = await beat;
    expect(answer).toMatchObject({ status: 200, body: { status: 'error', runId: run.id } });
    expect(answer.body.errors[0]).toMatch(/^This heartbeat .*3 times .*logs.* next heartbeat/);
  });

  it.each([
    ['its reasoning, without files', SAID, SAID.reasoning],
    ['that it was wanted', { trigger: 'turn', turn: 7 }, null],
  ])('a checkpoint: %s, is kept', async (_what, body, reasoning) => {
    const { worktree } = flow.clone(`json-${reasoning === null}`);
    const session = await flow.start({ worktree });
    const sent = await session.post('checkpoints', body, ASYNC);
    expect(sent.status).toBe(202);
    const waiting = deps().waiters.wait(sent.body.runId, { timeoutMs: 20_000 });
    await giveUp(sent.body.runId);
    expect(await waiting).toMatchObject({ status: 'warning', errors: [] });
    const saved = await flow.checkpoints(session.id);
    const why = expect.stringMatching(/files could not be captured.*3 times.*logs/);
    expect(saved).toMatchObject([
      { number: 1, trigger: 'turn', turn: 7, reasoning, commit: null, warnings: [why] },
    ]);
    const run = await flow.finished('checkpoint', session.id);
    expect(run).toMatchObject({
      warnings: [why],
      summary: expect.stringContaining('checkpoint 1'),
    });
    expect(run.summary).not.toContain('heartbeat');
    expect((await flow.session(session.id)).latestCheckpointId).toBe(saved[0].id);
  });

  it('a checkpoint: the successor waits for what is kept of it, and goes on from that', async () => {
    const { worktree } = flow.clone('json-heir');
    const session = await flow.start({ worktree });
    const sent = await session.post('checkpoints', SAID, ASYNC);
    await flow.expire(session.id);
    await watch();
    expect((await flow.session(session.id)).attempts).toHaveLength(1);
    await giveUp(sent.body.runId);
    await watch();
    const second = await withWorker(() => flow.claim());
    expect(second.session.resumedFrom).toBe(session.id);
    expect(second.continuation).toContain('my work');
    expect(filesOf(second.session.worktree)).toEqual(filesOf(worktree));
    await second.post('finish', { outcome: 'failed' });
  });

  it('a checkpoint that nobody sent: nothing was lost, and nothing is recorded', async () => {
    const { worktree } = flow.clone('own');
    const session = await flow.start({ worktree });
    await session.post('interrupt', { reason: 'limit' });
    const [run] = await flow.runs('checkpoint', session.id);
    await giveUp(run.id);
    expect(await flow.checkpoints(session.id)).toEqual([]);
    expect((await rowOf(run.id)).errors).toEqual([expect.stringMatching(/files are where/)]);
  });

  it('a checkpoint that was recorded before: it stays as it is', async () => {
    const { worktree } = flow.clone('recorded');
    const session = await flow.start({ worktree });
    const sent = await session.post('checkpoints', { ...SAID, capture: false }, ASYNC);
    const { runId } = sent.body;
    await sql`INSERT INTO checkpoints (id, session_id, number, run_id, trigger, durability)
      VALUES (gen_random_uuid(), ${session.id}, 1, ${runId}, 'turn', 'stored')`.execute(flow.db());
    await giveUp(runId);
    expect(await rowOf(runId)).toMatchObject({ status: 'warning', errors: [] });
    expect(await flow.checkpoints(session.id)).toMatchObject([
      { number: 1, warnings: [expect.stringContaining('3 times')] },
    ]);
  });

  describe('an upload', () => {
    async function sent(name: string) {
      const { worktree } = flow.clone(name);
      makeDirty(worktree);
      const session = await flow.start({ worktree, host: 'laptop' });
      const { commit, bundle } = await bundleOf(worktree, session);
      const answer = await upload(flow, session, { meta: { ...SAID, commit }, bundle }, ASYNC);
      expect(answer.status).toBe(202);
      return { session, worktree, commit, runId: answer.body.runId as string };
    }
    const bundlesOf = (id: string) =>
      flow.db().selectFrom('bundles').select('id').where('session_id', '=', id).execute();

    it('its reasoning is kept, and its bundle is verified by another run', async () => {
      const { session, commit, runId } = await sent('upload');
      await giveUp(runId);
      expect(await flow.checkpoints(session.id)).toMatchObject([
        { number: 1, reasoning: SAID.reasoning, commit: null, warnings: [expect.any(String)] },
      ]);
      const run = await rowOf(runId);
      expect(run).toMatchObject({ status: 'error', error_code: 'unavailable' });
      const [again, ...more] = await unfinished('checkpoint', session.id);
      expect(more).toEqual([]);
      expect(run.errors).toEqual([expect.stringContaining(again.id)]);
      await withWorker(() => until('it ran', async () => (await rowOf(again.id)).finished_at));
      const [first, second] = await flow.checkpoints(session.id);
      expect(second).toMatchObject({ number: 2, turn: 7, commit, durability: 'stored' });
      const path = `/api/checkpoints/${second.id}/bundle`;
      expect((await flow.service.call('GET', path)).status).toBe(200);
      expect(first.reasoning).toEqual(SAID.reasoning);
    });

    it('is overtaken by the next one: that is what is gone on from', async () => {
      const { session, worktree, runId, commit: old } = await sent('overtaken');
      put(worktree, 'newer.txt', 'newer\n');
      const { commit, bundle } = await bundleOf(worktree, session, { number: 2, previous: old });
      const meta = { trigger: 'turn', turn: 8, reasoning: { done: ['newer'] }, commit };
      const next = await upload(flow, session, { meta, bundle }, ASYNC);
      // As if another worker had been at the first one all the time.
      for (let died = 0; died < MAX_DEATHS; died += 1) {
        await claim(runId);
        if (died < MAX_DEATHS - 1) await expire(runId);
      }
      await withWorker(() =>
        until('it ran', async () => (await rowOf(next.body.runId)).finished_at),
      );
      await expire(runId);
      await withWorker(() =>
        until('all are recorded', async () => (await flow.checkpoints(session.id)).length === 3),
      );
      const all = await flow.checkpoints(session.id);
      expect(all).toMatchObject([
        { number: 1, turn: 8, commit, late: false },
        { number: 2, turn: 7, commit: null, late: true },
        { number: 3, turn: 7, commit: old, late: true },
      ]);
      expect((await flow.session(session.id)).latestCheckpointId).toBe(all[0].id);
      const got = await flow.service.call('GET', `/api/checkpoints/${all[0].id}/bundle`);
      expect(got.status).toBe(200);
      expect(await bundlesOf(session.id)).toHaveLength(2);
    });

    it('that one is given up as well: its reasoning stays, and no third is made', async () => {
      const { session, runId } = await sent('upload-twice');
      await giveUp(runId);
      const [again] = await unfinished('checkpoint', session.id);
      await giveUp(again.id);
      expect(await unfinished('checkpoint', session.id)).toEqual([]);
      expect(await flow.checkpoints(session.id)).toMatchObject([{ reasoning: SAID.reasoning }]);
      expect(await bundlesOf(session.id)).toHaveLength(1);
    });
  });

  describe('a resume', () => {
    async function pending(name: string) {
      const { worktree } = flow.clone(name);
      const first = await flow.start({ worktree });
      await flow.expire(first.id);
      await watch();
      const { id } = (await flow.session(first.id)).attempts[1];
      const [run] = await unfinished('resume', id);
      return { first, id: id as string, runId: run.id as string };
    }
    const due = (id: string) =>
      sql`UPDATE sessions SET spawn_at = now() WHERE id = ${id} AND spawn_at IS NOT NULL`.execute(
        flow.db(),
      );

    it('its session is told why, and tried again soon', async () => {
      const { id, runId } = await pending('resumed');
      await giveUp(runId);
      const text = expect.stringMatching(/^This resume .*3 times .*tried again/);
      expect(await rowOf(runId)).toMatchObject({ status: 'error', errors: [text] });
      const session = await sessionRow(id);
      expect(session).toMatchObject({ status: 'pending', spawn_error: text, spawn_tries: 1 });
      expect(session.spawn_at!.getTime()).toBeLessThan(Date.now() + 60_000);
      await due(id);
      await watch();
      const second = await withWorker(() => flow.claim());
      expect(second.id).toBe(id);
      await second.post('finish', { outcome: 'failed' });
    });

    it('again and again: a person is told', async () => {
      const { id } = await pending('resumed-thrice');
      for (let tries = 1; tries <= 3; tries += 1) {
        const [run] = await unfinished('resume', id);
        await giveUp(run.id);
        if (tries < 3) await due(id);
        await watch();
      }
      const told = { needsAttention: true, summary: expect.stringContaining('3 times') };
      expect(await flow.session(id)).toMatchObject({ ...told, status: 'pending' });
      // As if it had been tried for half an hour.
      await sql`UPDATE sessions SET spawn_tries = 12 WHERE id = ${id}`.execute(flow.db());
      await due(id);
      await watch();
      expect(await flow.session(id)).toMatchObject({
        ...told,
        status: 'failed',
        endReason: 'spawn_failed',
      });
      expect(await unfinished('resume', id)).toEqual([]);
    });

    it('that had made its session ready: it can be claimed as it is', async () => {
      const { id, runId } = await pending('ready');
      await sql`UPDATE sessions SET ready_at = now(), spawn_at = NULL WHERE id = ${id}`.execute(
        flow.db(),
      );
      await giveUp(runId);
      expect(await sessionRow(id)).toMatchObject({ spawn_error: null, spawn_at: null });
      expect((await flow.claim()).id).toBe(id);
    });

    it('that was starting an agent: the start deadline decides', async () => {
      const { id, runId } = await pending('starting');
      await sql`UPDATE sessions SET status = 'starting', spawn_run_id = ${runId}, spawn_at = NULL,
        start_deadline_at = now() + interval '60 s' WHERE id = ${id}`.execute(flow.db());
      await giveUp(runId);
      expect(await sessionRow(id)).toMatchObject({ status: 'starting', spawn_at: null });
      await sql`UPDATE sessions SET start_deadline_at = now() WHERE id = ${id}`.execute(flow.db());
      await watch();
      expect(await sessionRow(id)).toMatchObject({ status: 'timed_out' });
    });

    it('beside another one at work: that one decides', async () => {
      const { id, runId } = await pending('beside');
      await sql`UPDATE sessions SET spawn_at = now() WHERE id = ${id}`.execute(flow.db());
      await watch();
      expect(await unfinished('resume', id)).toHaveLength(2);
      const { spawn_at: before } = await sessionRow(id);
      await giveUp(runId);
      expect(await sessionRow(id)).toMatchObject({ spawn_error: null, spawn_at: before });
    });
  });

  it('a prune: what is left is pruned later', async () => {
    const { worktree } = flow.clone('pruned');
    const session = await flow.start({ worktree });
    put(worktree, 'new.txt', 'new\n');
    await withWorker(() => session.post('checkpoints', SAID));
    await session.post('finish', { outcome: 'completed' });
    await watch();
    const [run] = await unfinished('prune', session.id);
    await giveUp(run.id);
    const text = expect.stringMatching(/^This prune .*3 times .*tried again later/);
    expect(await rowOf(run.id)).toMatchObject({ status: 'error', errors: [text] });
    await sql`UPDATE sessions SET prune_at = now()
      WHERE id = ${session.id} AND prune_at IS NOT NULL`.execute(flow.db());
    await watch();
    await withWorker(() =>
      until('it is pruned', async () => (await flow.checkpoints(session.id))[0].prunedAt),
    );
  });

  it('is not taken by a worker that finds it before the sweep does', async () => {
    const session = await flow.start();
    const { body } = await session.post('checkpoints', SAID, ASYNC);
    for (let died = 0; died < MAX_DEATHS; died += 1) {
      expect(await claim(body.runId)).toHaveLength(1);
      await expire(body.runId);
    }
    expect(await claim(body.runId)).toEqual([]);
    await sweep(deps(), SWEEP_LIMITS);
    expect(await rowOf(body.runId)).toMatchObject({ deaths: MAX_DEATHS, status: 'warning' });
  });
});
