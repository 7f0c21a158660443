import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newId } from '../../src/services/ids.ts';
import { type Answer, backends, startService, type TestService } from '../setup/service.ts';
import { until } from '../setup/until.ts';

const unknownId = '01920000-0000-7000-8000-000000000000';

/** Has an agent make a run, and does not wait for it. */
async function accept(service: TestService, agent: string): Promise<string> {
  const answer = await service.call('POST', `/api/agents/${agent}/heartbeat`, {
    headers: { Prefer: 'respond-async' },
  });
  expect(answer.status).toBe(202);
  return answer.body.runId;
}

const ids = ({ body }: Answer): string[] => body.items.map(({ id }: { id: string }) => id);

describe('GET /api/runs', () => {
  let service: TestService;
  let builder: string;
  let painter: string;
  const made: Record<string, string[]> = { builder: [], painter: [] };
  const list = (query = '', token?: string) =>
    service.call('GET', `/api/runs${query}`, token === undefined ? {} : { token });

  // Without a worker all runs stay as they are accepted, but those set here.
  beforeAll(async () => {
    service = await startService('postgres', { worker: false });
    builder = await service.agentToken('builder');
    painter = await service.agentToken('painter');
    for (const agent of ['builder', 'painter', 'builder', 'painter', 'builder']) {
      made[agent]!.unshift(await accept(service, agent));
    }
    await service.started.deps.db
      .updateTable('runs')
      .set({ status: 'warning', finished_at: new Date(), started_at: new Date() })
      .where('id', '=', made['painter']![0]!)
      .execute();
  });
  afterAll(() => service.stop());

  it('shows an operator all runs, newest first, and an agent its own', async () => {
    expect(ids(await list()).sort()).toEqual([...made['builder']!, ...made['painter']!].sort());
    expect(ids(await list('', builder))).toEqual(made['builder']);
    expect(ids(await list('?agentName=painter', painter))).toEqual(made['painter']);
  });

  it('filters by agent, kind and status, together', async () => {
    expect(ids(await list('?agentName=builder'))).toEqual(made['builder']);
    expect(ids(await list('?agentName=nobody'))).toEqual([]);
    expect(ids(await list('?kind=prune'))).toEqual([]);
    expect(ids(await list('?kind=heartbeat'))).toHaveLength(5);
    expect(ids(await list('?status=warning'))).toEqual(made['painter']!.slice(0, 1));
    expect(ids(await list('?status=queued&agentName=painter&limit=1'))).toEqual(
      made['painter']!.slice(1),
    );
    expect(ids(await list('?status=warning', builder))).toEqual([]);
  });

  it('filters by session', async () => {
    const started = await service.call('POST', '/api/agents/roofer/sessions', {
      body: { objective: 'mend the roof' },
      token: await service.agentToken('roofer'),
    });
    const sessionId = started.body.session.id;
    const beat = await service.call('POST', '/api/agents/roofer/heartbeat', {
      body: { sessionId },
      headers: { Prefer: 'respond-async' },
    });
    await accept(service, 'roofer');
    expect(ids(await list(`?sessionId=${sessionId}`))).toEqual([beat.body.runId]);
    expect(ids(await list(`?sessionId=${sessionId}`, builder))).toEqual([]);
    expect((await list('?sessionId=1')).status).toBe(422);
  });

  it('keeps an agent from the runs of another', async () => {
    expect(await list('?agentName=painter', builder)).toMatchObject({
      status: 403,
      body: { code: 'forbidden' },
    });
    const other = await service.call('GET', `/api/runs/${made['painter']![0]}`, { token: builder });
    const none = await service.call('GET', `/api/runs/${unknownId}`, { token: builder });
    for (const answer of [other, none]) {
      expect(answer).toMatchObject({ status: 404, body: { code: 'not_found' } });
    }
    // Nor can it tell a run of another agent from none.
    expect(other.body.detail.replace(made['painter']![0]!, unknownId)).toBe(none.body.detail);
  });

  it('gives every run once, also while new ones arrive', async () => {
    const before = ids(await list('?limit=200'));
    const seen: string[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const page = await list(`?limit=2${cursor && `&cursor=${cursor}`}`);
      seen.push(...ids(page));
      cursor = page.body.nextCursor;
      await accept(service, 'builder');
    }
    expect(seen).toEqual(before);
  });

  it.each([
    ['kind=sleep', 'query.kind'],
    ['status=done', 'query.status'],
    ['agentName=a/b', 'query.agentName'],
    ['agent=builder', 'query.agent'],
    ['limit=0', 'query.limit'],
    ['cursor=0', 'query.cursor'],
  ])('refuses ?%s', async (query, path) => {
    expect(await list(`?${query}`)).toMatchObject({
      status: 422,
      body: { code: 'invalid', errors: [{ path }] },
    });
  });

  it('refuses an id that is none', async () => {
    expect(await service.call('GET', '/api/runs/17')).toMatchObject({
      status: 422,
      body: { errors: [{ path: 'id', message: 'must be a UUID' }] },
    });
  });
});

describe.each(backends)('GET /api/runs/{id} with Prefer: wait on %s', (backend) => {
  let service: TestService;
  beforeAll(async () => {
    service = await startService(backend);
    await service.agentToken('builder');
  });
  afterAll(() => service.stop());

  const get = (id: string, prefer: string) =>
    service.call('GET', `/api/runs/${id}`, { headers: { Prefer: prefer } });

  it('is held open until the run is finished', async () => {
    const { body } = await get(await accept(service, 'builder'), 'wait=20');
    expect(body).toMatchObject({ status: 'ok', finishedAt: expect.any(String) });
    expect(body.steps.length).toBeGreaterThan(0);
  });

  it('answers with the run as it is when the time is over', async () => {
    // Nobody dispatches this row, and for the sweep it is not overdue: no worker takes it.
    const { db } = service.started.deps;
    const agent = await db.selectFrom('agents').selectAll().executeTakeFirstOrThrow();
    const id = newId();
    const row = { id, agent_id: agent.id, agent_name: agent.name, kind: 'heartbeat' as const };
    const dispatched_at = new Date(Date.now() + 3_600_000);
    await db
      .insertInto('runs')
      .values({ ...row, dispatched_at })
      .execute();
    const started = performance.now();
    expect(await get(id, 'wait=1')).toMatchObject({ status: 200, body: { status: 'queued' } });
    expect(performance.now() - started).toBeGreaterThan(900);
    expect(await get(id, 'respond-async')).toMatchObject({ body: { status: 'queued' } });

    const waiting = get(id, 'wait=20');
    await until('the caller is held open', () => service.started.deps.waiters.count() > 0);
    await db
      .updateTable('runs')
      .set({ status: 'error', finished_at: new Date(), summary: 'ended from outside' })
      .where('id', '=', id)
      .execute();
    expect(await waiting).toMatchObject({ body: { status: 'error' } });
  });

  it.each(['wait=abc', 'wait=61', 'wait=-1', 'wait=', 'wait=1.5'])('refuses %s', async (prefer) => {
    const answer = await get(await accept(service, 'builder'), prefer);
    expect(answer).toMatchObject({ status: 422, body: { errors: [{ path: 'header.prefer' }] } });
  });
});
