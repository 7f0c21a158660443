import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { watchSessions } from '../../src/services/sessions/watch.ts';
import { until } from '../setup/until.ts';
import { type Answer, startService, type TestService } from '../setup/service.ts';

let service: TestService;
let agent: string;

beforeAll(async () => {
  service = await startService('postgres');
  agent = await service.agentToken('builder');
});
afterAll(() => service.stop());

const start = (body: object = {}, token = agent) =>
  service.call('POST', '/api/agents/builder/sessions', {
    token,
    body: { objective: 'fix the build', ...body },
  });
const onSession = (started: Answer, verb: string, body?: object, method = 'POST') =>
  service.call(method, `/api/sessions/${started.body.session.id}/${verb}`, {
    token: started.body.token,
    ...(body && { body }),
  });
const claim = () => service.call('POST', '/api/agents/builder/claim', { token: agent });

/** Claims once a worker has prepared something. */
const claimed = () =>
  until('something can be claimed', async () => {
    const answer = await claim();
    return answer.status === 200 ? answer : undefined;
  });

/** Moves the clocks of a session into the past, as if it had been silent for as long. */
const age = (id: string) =>
  service.started.deps.db
    .updateTable('sessions')
    .set({
      lease_expires_at: new Date(Date.now() - 1000),
      start_deadline_at: null,
    })
    .where('id', '=', id)
    .execute();

const watch = () => {
  const { db, log, sessionSettings } = service.started.deps;
  return watchSessions({ db, log, settings: sessionSettings, batch: 100 });
};

describe('a session', () => {
  it('starts, beats and finishes', async () => {
    const started = await start({ repo: 'acme/app', timeoutSeconds: 120, turn: 1 });
    expect(started.status).toBe(201);
    const { session } = started.body;
    expect(session).toMatchObject({
      agentName: 'builder',
      status: 'starting',
      attempt: 1,
      rootId: session.id,
      resumedFrom: null,
      checkpointBranch: `checkpoint/builder/${session.id}`,
      needsAttention: false,
    });
    expect(Date.parse(session.deadlineAt) - Date.parse(session.startedAt)).toBe(120_000);

    const beat = await onSession(started, 'heartbeat', { turn: 2, note: 'reading' });
    expect(beat).toMatchObject({
      status: 200,
      body: { status: 'running', directives: [], nextHeartbeatSeconds: 20 },
    });

    const finished = await onSession(started, 'finish', { outcome: 'completed', summary: 'done' });
    expect(finished.body).toMatchObject({ status: 'completed', summary: 'done', turn: 2 });
    const again = await onSession(started, 'finish', { outcome: 'completed', summary: 'done' });
    expect(again.body).toEqual(finished.body);
  });

  it('is refused after its end: every write, with the stable code', async () => {
    const started = await start();
    await onSession(started, 'finish', { outcome: 'failed' });
    for (const [verb, body] of [
      ['heartbeat', {}],
      ['finish', { outcome: 'completed' }],
      ['interrupt', { reason: 'x' }],
    ] as const) {
      const refused = await onSession(started, verb, body);
      expect(refused, verb).toMatchObject({ status: 409, body: { code: 'session_ended' } });
    }
  });

  it('is acted for only with its own token', async () => {
    const [one, two] = [await start(), await start()];
    const path = `/api/sessions/${one.body.session.id}/heartbeat`;
    for (const token of [agent, two.body.token, service.env['DEFIB_OPERATOR_TOKEN']!]) {
      expect((await service.call('POST', path, { token })).status).toBe(403);
    }
    const other = await service.agentToken('other');
    const read = await service.call('GET', `/api/sessions/${one.body.session.id}`, {
      token: other,
    });
    expect(read.status).toBe(404);
    expect((await start({}, one.body.token)).status).toBe(403);
  });

  it('has its issue for itself, in whatever letter case', async () => {
    const issueUrl = 'https://github.com/acme/app/issues/7';
    const first = await start({ issueUrl });
    const second = await start({ issueUrl: 'https://github.com/Acme/App/issues/7' });
    expect(second).toMatchObject({ status: 409, body: { code: 'issue_claimed' } });
    expect(second.body.detail).toContain(first.body.session.id);

    await onSession(first, 'finish', { outcome: 'cancelled' });
    expect((await start({ issueUrl })).status).toBe(201);
  });

  it('goes to one of fifty that start it for one issue', async () => {
    const issueUrl = 'https://github.com/acme/app/issues/8';
    const answers = await Promise.all(Array.from({ length: 50 }, () => start({ issueUrl })));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(49);
  });

  it.each([
    ['no objective', { objective: '' }],
    ['a relative worktree', { worktree: 'here' }],
    ['an issue that is no URL', { issueUrl: 'acme/app#7' }],
    ['a lease of a second', { leaseSeconds: 1 }],
    ['an unknown field', { colour: 'red' }],
  ])('is not started with %s', async (_what, body) => {
    expect(await start(body)).toMatchObject({ status: 422, body: { code: 'invalid' } });
  });
});

describe('a session that dies', () => {
  it('is timed out, resumed by one claim, and superseded', async () => {
    const started = await start({ repo: 'acme/app', branch: 'main' });
    await onSession(started, 'heartbeat', { turn: 12, note: 'half way' });
    const { id } = started.body.session;
    await age(id);
    await watch();

    await until('its successor is ready', () =>
      service.started.deps.db
        .selectFrom('sessions')
        .select('id')
        .where('resumed_from', '=', id)
        .where('ready_at', 'is not', null)
        .executeTakeFirst(),
    );
    const claims = await Promise.all(Array.from({ length: 10 }, claim));
    const [first, ...more] = claims.filter(({ status }) => status === 200);
    expect(more).toEqual([]);
    expect(claims.filter(({ status }) => status === 204)).toHaveLength(9);
    expect(first!.body.session).toMatchObject({
      status: 'starting',
      attempt: 2,
      rootId: id,
      resumedFrom: id,
      objective: 'fix the build',
    });
    expect(first!.body.continuation).toContain('its lease ran out');
    expect(first!.body.continuation).toContain('half way');

    const zombie = await onSession(started, 'heartbeat', {});
    expect(zombie).toMatchObject({
      status: 409,
      body: { code: 'session_superseded', successorId: first!.body.session.id },
    });
    const chain = await service.call('GET', `/api/sessions/${id}`);
    expect(chain.body.attempts.map((a: { status: string }) => a.status)).toEqual([
      'timed_out',
      'starting',
    ]);
    const text = await onSession(first!, 'continuation', undefined, 'GET');
    expect(text.text).toBe(first!.body.continuation);
    expect(text.headers.get('content-type')).toContain('text/markdown');
    const data = await service.call('GET', `/api/sessions/${first!.body.session.id}/continuation`, {
      token: first!.body.token,
      headers: { Accept: 'application/json' },
    });
    expect(data.body).toMatchObject({
      continuation: text.text,
      current: { attempt: 2, repo: 'acme/app', branch: 'main' },
      earlier: [{ attempt: 1, status: 'timed_out', endReason: 'lease_expired', note: 'half way' }],
      checkpoint: null,
    });
    await onSession(first!, 'finish', { outcome: 'completed' });
  });

  it('has one successor of fifty watches at once', async () => {
    const started = await start();
    await onSession(started, 'heartbeat');
    await age(started.body.session.id);
    await Promise.all(Array.from({ length: 50 }, watch));
    const chain = await service.call('GET', `/api/sessions/${started.body.session.id}`);
    expect(chain.body.attempts).toHaveLength(2);
    await onSession(await claimed(), 'finish', { outcome: 'cancelled' });
  });

  it('is resumed when it was interrupted', async () => {
    const started = await start();
    const ended = await onSession(started, 'interrupt', { reason: 'SIGTERM' });
    expect(ended.body).toMatchObject({ status: 'interrupted', endReason: 'SIGTERM' });
    const next = await claimed();
    expect(next.body.continuation).toContain('SIGTERM');
    await onSession(next, 'finish', { outcome: 'completed' });
  });

  it('waits while its agent is paused', async () => {
    const started = await start();
    const { id } = started.body.session;
    await service.call('PUT', '/api/agents/builder', { body: { paused: true } });
    await onSession(started, 'interrupt', { reason: 'pod evicted' });
    await watch();
    const paused = await service.call('GET', `/api/sessions/${id}`);
    expect(paused.body.attempts).toHaveLength(1);
    await service.call('PUT', '/api/agents/builder', { body: { paused: false } });
    const next = await claimed();
    expect(next.body.session.resumedFrom).toBe(id);
    await onSession(next, 'finish', { outcome: 'completed' });
  });

  it('needs attention when its budget is spent', async () => {
    await service.call('PUT', '/api/agents/builder', { body: { policy: { resumeBudget: 2 } } });
    let session = await start();
    const rootId = session.body.session.id;
    for (let attempt = 1; attempt <= 3; attempt += 1) {
      await onSession(session, 'interrupt', { reason: `attempt ${attempt}` });
      if (attempt < 3) session = await claimed();
    }
    await watch();
    expect((await claim()).status).toBe(204);
    const { body } = await service.call(
      'GET',
      `/api/sessions?rootId=${rootId}&needsAttention=true`,
    );
    expect(body.items).toMatchObject([{ attempt: 3, status: 'interrupted', needsAttention: true }]);
  });
});
