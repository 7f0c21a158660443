import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { backends, startService, type TestService } from '../setup/service.ts';
import { until } from '../setup/until.ts';

const UUID = /^[0-9a-f-]{36}$/;

describe.each(backends)('POST /api/agents/{agentName}/heartbeat on %s', (backend) => {
  let service: TestService;
  let token: string;
  const beat = (options: Parameters<TestService['call']>[2] = {}, agent = 'builder') =>
    service.call('POST', `/api/agents/${agent}/heartbeat`, { token, ...options });

  beforeAll(async () => {
    service = await startService(backend);
    token = await service.agentToken('builder');
  });
  afterAll(() => service.stop());

  const runCount = async () => {
    const rows = await service.started.deps.db.selectFrom('runs').select('id').execute();
    return rows.length;
  };

  it('answers with the contract and records the same as a run', async () => {
    const { status, body } = await beat({ body: { turn: 3, note: 'hello' } });

    expect(status).toBe(200);
    expect(body).toEqual({
      status: 'ok',
      agentName: 'builder',
      startedAt: expect.any(String),
      finishedAt: expect.any(String),
      summary: 'Nothing to do.',
      warnings: [],
      errors: [],
      touchedIssueUrls: [],
      runId: expect.stringMatching(UUID),
      directives: [],
      nextHeartbeatSeconds: 60,
    });
    const run = await service.call('GET', `/api/runs/${body.runId}`, { token });
    expect(run.status).toBe(200);
    const { runId, ...shared } = body;
    expect(run.body).toMatchObject({ id: runId, kind: 'heartbeat', ...shared });
    expect(run.body.steps[0]).toMatchObject({ name: 'load agent', status: 'ok' });
    expect(Date.parse(run.body.finishedAt)).toBeGreaterThanOrEqual(Date.parse(run.body.queuedAt));
  });

  it('takes a call with no body, with and without a content type', async () => {
    expect((await beat()).status).toBe(200);
    expect((await beat({ headers: { 'Content-Type': 'application/json' } })).status).toBe(200);
  });

  it('tells the pace that the policy sets', async () => {
    await service.call('PUT', '/api/agents/paced', { body: { policy: { heartbeatSeconds: 7 } } });
    const { body } = await beat({ token: service.env['DEFIB_OPERATOR_TOKEN']! }, 'paced');
    expect(body.nextHeartbeatSeconds).toBe(7);
  });

  it('answers 202 with the address of the run when asked not to wait', async () => {
    for (const prefer of ['respond-async', 'wait=0', 'handling=strict, wait=0']) {
      const { status, headers, body } = await beat({ headers: { Prefer: prefer } });
      expect(status, prefer).toBe(202);
      expect(headers.get('location')).toBe(`/api/runs/${body.runId}`);
      const run = await service.call('GET', `/api/runs/${body.runId}`, {
        token,
        headers: { Prefer: 'wait=10' },
      });
      expect(run.body.status).toBe('ok');
    }
  });

  it('gives the same run for the same Idempotency-Key, and 422 for another body', async () => {
    const headers = { 'Idempotency-Key': 'once' };
    const before = await runCount();
    const first = await beat({ headers, body: { turn: 1, note: 'n' } });
    const again = await beat({ headers, body: { note: 'n', turn: 1 } });
    const other = await beat({ headers, body: { turn: 2 } });

    expect(again.body).toEqual(first.body);
    expect(other).toMatchObject({ status: 422, body: { code: 'idempotency_mismatch' } });
    expect(await runCount()).toBe(before + 1);
  });

  it('makes one run of fifty concurrent calls with one Idempotency-Key', async () => {
    const headers = { 'Idempotency-Key': 'crowd' };
    const answers = await Promise.all(Array.from({ length: 50 }, () => beat({ headers })));
    expect(new Set(answers.map(({ body }) => body.runId)).size).toBe(1);
    expect(answers.every(({ status }) => status === 200)).toBe(true);
  });

  it('keeps the keys of two agents apart', async () => {
    const headers = { 'Idempotency-Key': 'shared' };
    const other = await service.agentToken('other');
    const mine = await beat({ headers });
    const theirs = await beat({ headers, token: other, body: { turn: 9 } }, 'other');
    expect(theirs.status).toBe(200);
    expect(theirs.body.runId).not.toBe(mine.body.runId);
  });

  it('finishes the run of a caller that hung up', async () => {
    const controller = new AbortController();
    const note = `hung up on ${backend}`;
    const request = fetch(`${service.url}/api/agents/builder/heartbeat`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ note }),
      signal: controller.signal,
    });
    const findRun = async () => {
      const runs = await service.started.deps.db.selectFrom('runs').selectAll().execute();
      return runs.find((run) => run.input.note === note);
    };
    await until('the run is accepted', findRun);
    controller.abort();
    await request.catch(() => undefined);
    await until('the run is finished', async () => (await findRun())?.finished_at);
    await until('no waiter is left', () => service.started.deps.waiters.count() === 0);
  });

  describe('refuses, and writes nothing', () => {
    it.each([
      ['malformed JSON', { body: '{"turn":' }, 400, 'malformed'],
      [
        'another media type',
        { body: 'turn=1', headers: { 'Content-Type': 'text/plain' } },
        400,
        'malformed',
      ],
      ['a wrong type', { body: { turn: 'three' } }, 422, 'invalid'],
      ['an unknown field', { body: { turns: 3 } }, 422, 'invalid'],
      ['a JSON array', { body: [] }, 422, 'invalid'],
      ['a note with a NUL', { body: { note: 'a\u0000b' } }, 422, 'invalid'],
      ['a note with half a character', { body: '{"note":"\\ud800"}' }, 422, 'invalid'],
      ['a body of 10 MB', { body: `{"note":"${'x'.repeat(10_000_000)}"}` }, 413, 'too_large'],
      [
        'an unknown session',
        { body: { sessionId: '01920000-0000-7000-8000-000000000000' } },
        404,
        'not_found',
      ],
      ['a wait that is no number', { headers: { Prefer: 'wait=abc' } }, 422, 'invalid'],
      ['a wait beyond the limit', { headers: { Prefer: 'wait=99999' } }, 422, 'invalid'],
      ['a negative wait', { headers: { Prefer: 'wait=-1' } }, 422, 'invalid'],
      [
        'a key that is too long',
        { headers: { 'Idempotency-Key': 'k'.repeat(300) } },
        422,
        'invalid',
      ],
    ])('%s', async (_what, options, status, code) => {
      const before = await runCount();
      const answer = await beat(options);
      expect(answer).toMatchObject({ status, body: { status, code } });
      expect(answer.headers.get('content-type')).toContain('application/problem+json');
      expect(answer.body.detail.length).toBeGreaterThan(20);
      expect(await runCount()).toBe(before);
    });

    it('names the field that is wrong', async () => {
      const { body } = await beat({ body: { turn: -1, extra: true } });
      expect(body.errors.map(({ path }: { path: string }) => path)).toEqual(['turn', 'extra']);
    });

    it.each([
      ['with a slash', 'a%2Fb', 422],
      ['that climbs', '%2e%2e', 404],
      ['with two dots', 'a..b', 422],
      ['with a space', 'a%20b', 422],
      ['of 300 characters', 'a'.repeat(300), 422],
      ['in Unicode', encodeURIComponent('bäcker'), 422],
      ['that is not UTF-8', '%ff', 422],
      ['that nobody has', 'nobody', 404],
    ])('an agent name %s', async (_what, name, status) => {
      const before = await runCount();
      const answer = await beat({ token: service.env['DEFIB_OPERATOR_TOKEN']! }, name);
      expect(answer.status).toBe(status);
      expect(answer.body.code).toBe(status === 422 ? 'invalid' : 'not_found');
      expect(await runCount()).toBe(before);
    });

    it('a paused agent, until it is resumed', async () => {
      const sleepy = await service.agentToken('sleepy');
      await service.call('PUT', '/api/agents/sleepy', { body: { paused: true } });
      const before = await runCount();
      const refused = await beat({ token: sleepy }, 'sleepy');
      expect(refused).toMatchObject({ status: 409, body: { code: 'conflict' } });
      expect(refused.body.detail).toContain('paused');
      expect(await runCount()).toBe(before);

      await service.call('PUT', '/api/agents/sleepy', { body: { paused: false } });
      expect((await beat({ token: sleepy }, 'sleepy')).status).toBe(200);
    });
  });

  it('refuses early when the queue is full, and says when to come back', async () => {
    const full = await startService(backend, { worker: false, env: { DEFIB_MAX_QUEUED: '3' } });
    try {
      const own = await full.agentToken('builder');
      const async = { token: own, headers: { Prefer: 'respond-async' } };
      const call = () => full.call('POST', '/api/agents/builder/heartbeat', async);
      const answers = [await call(), await call(), await call(), await call()];
      expect(answers.map(({ status }) => status)).toEqual([202, 202, 202, 503]);
      expect(answers[3]).toMatchObject({ body: { code: 'overloaded' } });
      expect(Number(answers[3]!.headers.get('retry-after'))).toBeGreaterThan(0);
    } finally {
      await full.stop();
    }
  });
});
