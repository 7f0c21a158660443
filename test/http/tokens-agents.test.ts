import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startService, type TestService } from '../setup/service.ts';

const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const unknownId = '01920000-0000-7000-8000-000000000000';

let service: TestService;
beforeAll(async () => {
  service = await startService('postgres', { worker: false });
});
afterAll(() => service.stop());

const put = (name: string, body: unknown) =>
  service.call('PUT', `/api/agents/${name}`, { body: body as object });
const issue = (body: unknown) => service.call('POST', '/api/tokens', { body: body as object });

/** Everything that a refused request could have left behind. */
async function counts() {
  const { db } = service.started.deps;
  const [agents, tokens] = await Promise.all([
    db.selectFrom('agents').select('id').execute(),
    db.selectFrom('tokens').select('id').execute(),
  ]);
  return { agents: agents.length, tokens: tokens.length };
}

/** All items of a list, page by page. */
async function walk(path: string): Promise<{ [field: string]: string }[]> {
  const items: { [field: string]: string }[] = [];
  for (let cursor: string | null = ''; cursor !== null;) {
    const page = await service.call('GET', `${path}&${cursor && `cursor=${cursor}`}`);
    expect(page.status).toBe(200);
    items.push(...page.body.items);
    cursor = page.body.nextCursor;
  }
  return items;
}

describe('agents', () => {
  it('are created, changed field by field, and read', async () => {
    const created = await put('painter', { policy: { heartbeatSeconds: 30 } });
    expect(created).toMatchObject({
      status: 200,
      body: {
        name: 'painter',
        policy: { heartbeatSeconds: 30 },
        paused: false,
        createdAt: expect.stringMatching(TIMESTAMP),
        updatedAt: expect.stringMatching(TIMESTAMP),
      },
    });
    const paused = await put('painter', { paused: true });
    expect(paused.body).toMatchObject({ policy: { heartbeatSeconds: 30 }, paused: true });
    expect(await service.call('GET', '/api/agents/painter')).toMatchObject({
      status: 200,
      body: paused.body,
    });
    expect((await put('painter', { policy: {} })).body).toMatchObject({ policy: {}, paused: true });
  });

  it('that nobody made are 404', async () => {
    const answer = await service.call('GET', '/api/agents/nobody');
    expect(answer).toMatchObject({ status: 404, body: { code: 'not_found' } });
    expect(answer.body.detail).toContain('PUT /api/agents/nobody');
  });

  it('cannot differ in letter case alone', async () => {
    await put('Mixed', {});
    for (const answer of [
      await put('mixed', {}),
      await issue({ scope: 'agent', agentName: 'MIXED' }),
    ]) {
      expect(answer).toMatchObject({ status: 409, body: { code: 'conflict' } });
    }
  });

  it.each([
    ['an unknown field', { pause: true }, 'pause'],
    ['a wrong type', { paused: 'yes' }, 'paused'],
    ['an unknown policy', { policy: { budget: 3 } }, 'policy.budget'],
    ['a policy out of range', { policy: { heartbeatSeconds: 0 } }, 'policy.heartbeatSeconds'],
    ['no object', [], 'body'],
  ])('refuses %s and changes nothing', async (_what, body, path) => {
    const before = await counts();
    const answer = await put('unborn', body);
    expect(answer).toMatchObject({ status: 422, body: { code: 'invalid', errors: [{ path }] } });
    expect(await counts()).toEqual(before);
  });
});

describe('tokens', () => {
  it('are issued for an agent, which that creates', async () => {
    const expiresAt = '2999-01-01T00:00:00+02:00';
    const { status, body } = await issue({ scope: 'agent', agentName: 'newborn', expiresAt });
    expect(status).toBe(201);
    expect(body).toEqual({
      id: expect.any(String),
      token: expect.stringMatching(/^dfb_ag_/),
      scope: 'agent',
      agentName: 'newborn',
      sessionId: null,
      createdAt: expect.stringMatching(TIMESTAMP),
      expiresAt: '2998-12-31T22:00:00.000Z',
      revokedAt: null,
      lastUsedAt: null,
    });
    expect((await service.call('GET', '/api/agents/newborn')).status).toBe(200);
  });

  it('are issued for operators, who can do what the first can', async () => {
    const { body } = await issue({ scope: 'operator' });
    expect(body.token).toMatch(/^dfb_op_/);
    expect((await service.call('GET', '/api/tokens', { token: body.token })).status).toBe(200);
  });

  it('stay in the list when revoked, with the first time of it', async () => {
    const { id } = (await issue({ scope: 'agent', agentName: 'leaver' })).body;
    const revoked = async () => {
      await service.call('DELETE', `/api/tokens/${id}`);
      const { items } = (await service.call('GET', '/api/tokens?limit=200')).body;
      return items.find((item: { id: string }) => item.id === id).revokedAt;
    };
    const first = await revoked();
    expect(first).toMatch(TIMESTAMP);
    expect(await revoked()).toBe(first);
  });

  it.each([
    ['no scope', {}, 'scope'],
    ['an unknown scope', { scope: 'admin' }, 'scope'],
    ['the scope of sessions', { scope: 'session', agentName: 'unborn' }, 'scope'],
    ['an agent without a name', { scope: 'agent' }, 'agentName'],
    ['an empty name', { scope: 'agent', agentName: '' }, 'agentName'],
    ['a name with a slash', { scope: 'agent', agentName: 'a/b' }, 'agentName'],
    ['an operator with a name', { scope: 'operator', agentName: 'unborn' }, 'agentName'],
    [
      'an expiry in the past',
      { scope: 'agent', agentName: 'unborn', expiresAt: '2001-01-01T00:00:00Z' },
      'expiresAt',
    ],
    [
      'an expiry without a zone',
      { scope: 'agent', agentName: 'unborn', expiresAt: '2999-01-01T00:00:00' },
      'expiresAt',
    ],
    [
      'an expiry that is no time',
      { scope: 'agent', agentName: 'unborn', expiresAt: 'tomorrow' },
      'expiresAt',
    ],
    ['an unknown field', { scope: 'agent', agentName: 'unborn', name: 'x' }, 'name'],
  ])('refuses %s and writes nothing', async (_what, body, path) => {
    const before = await counts();
    const answer = await issue(body);
    expect(answer).toMatchObject({ status: 422, body: { code: 'invalid', errors: [{ path }] } });
    expect(await counts()).toEqual(before);
  });

  it('that do not exist cannot be revoked', async () => {
    expect(await service.call('DELETE', `/api/tokens/${unknownId}`)).toMatchObject({
      status: 404,
      body: { code: 'not_found' },
    });
    expect(await service.call('DELETE', '/api/tokens/1')).toMatchObject({
      status: 422,
      body: { errors: [{ path: 'id' }] },
    });
  });
});

describe.each(['/api/agents', '/api/tokens'])('the list %s', (path) => {
  beforeAll(async () => {
    for (let at = 0; at < 7; at += 1) {
      await issue({ scope: 'agent', agentName: `${path.slice(5)}-${at}` });
    }
  });

  it('gives every item once, newest first, whatever the size of the page', async () => {
    const all = (await service.call('GET', `${path}?limit=200`)).body;
    expect(all.nextCursor).toBeNull();
    for (const limit of [1, 3, all.items.length]) {
      expect(await walk(`${path}?limit=${limit}`)).toEqual(all.items);
    }
    const times = all.items.map(({ createdAt }: { createdAt: string }) => createdAt);
    expect(times).toEqual([...times].sort().toReversed());
  });

  it.each([
    ['limit=0', 'query.limit'],
    ['limit=201', 'query.limit'],
    ['limit=-1', 'query.limit'],
    ['limit=1.5', 'query.limit'],
    ['limit=abc', 'query.limit'],
    ['limit=', 'query.limit'],
    ['limit=1&limit=2', 'query.limit'],
    ['cursor=garbage', 'query.cursor'],
    ['cursor=', 'query.cursor'],
    ["cursor=' OR 1=1 --", 'query.cursor'],
    ['page=2', 'query.page'],
  ])('refuses ?%s', async (query, field) => {
    const answer = await service.call('GET', `${path}?${query}`);
    expect(answer).toMatchObject({
      status: 422,
      body: { code: 'invalid', errors: [{ path: field }] },
    });
  });
});
