import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase } from '../setup/database.ts';
import { type Answer, startService, type TestService } from '../setup/service.ts';
import { until } from '../setup/until.ts';

const expectUnauthorized = (answer: Answer) => {
  expect(answer).toMatchObject({ status: 401, body: { code: 'unauthorized', status: 401 } });
  expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer /);
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
};

describe('tokens on the API', () => {
  let service: TestService;
  beforeAll(async () => {
    service = await startService('postgres');
  });
  afterAll(() => service.stop());

  const db = () => service.started.deps.db;
  const beat = (token: string, agent = 'builder') =>
    service.call('POST', `/api/agents/${agent}/heartbeat`, { token });
  const issue = (body: object) => service.call('POST', '/api/tokens', { body });
  const rowOf = (id: string) =>
    db().selectFrom('tokens').selectAll().where('id', '=', id).executeTakeFirstOrThrow();

  it.each([
    ['nothing', undefined],
    ['another scheme', 'Basic b3BlcmF0b3I6c2VjcmV0'],
    ['a scheme alone', 'Bearer'],
    ['a scheme and spaces', 'Bearer    '],
    ['no scheme', 'dfb_ag_0000000000000000000000000000000000000000000'],
    ['an unknown token', 'Bearer dfb_ag_0000000000000000000000000000000000000000000'],
    ['two tokens', 'Bearer one two'],
    ['a token with bytes beyond ASCII', 'Bearer t\u00f6ken'],
    ['a very long token', `Bearer ${'x'.repeat(8000)}`],
  ])('refuses %s', async (_what, authorization) => {
    const headers: Record<string, string> = authorization ? { Authorization: authorization } : {};
    for (const path of ['/api/agents', '/api/runs', '/api/tokens', '/api/nothing']) {
      expectUnauthorized(await service.call('GET', path, { token: null, headers }));
    }
  });

  it('takes the scheme in any letter case, and more than one space', async () => {
    const token = service.env['DEFIB_OPERATOR_TOKEN']!;
    for (const authorization of [`bearer ${token}`, `BEARER   ${token}`]) {
      const headers = { Authorization: authorization };
      expect((await service.call('GET', '/api/agents', { token: null, headers })).status).toBe(200);
    }
  });

  it('refuses a token that has expired', async () => {
    const { body } = await issue({
      scope: 'agent',
      agentName: 'builder',
      expiresAt: new Date(Date.now() + 3_600_000).toISOString(),
    });
    await db()
      .updateTable('tokens')
      .set({ expires_at: new Date(Date.now() - 1000) })
      .where('id', '=', body.id)
      .execute();
    expectUnauthorized(await beat(body.token));
  });

  it('refuses a revoked token within seconds, though it was in use', async () => {
    const { body } = await issue({ scope: 'agent', agentName: 'builder' });
    expect((await beat(body.token)).status).toBe(200);
    const revoked = await service.call('DELETE', `/api/tokens/${body.id}`);
    expect(revoked).toMatchObject({ status: 204, text: '' });

    const refused = async () => {
      const answer = await beat(body.token);
      return answer.status === 401 ? answer : undefined;
    };
    expectUnauthorized(await until('the revoked token is refused', refused, 5000));
    expect((await service.call('DELETE', `/api/tokens/${body.id}`)).status).toBe(204);
  });

  it('lets an agent act for itself alone, and an operator for any agent', async () => {
    const token = await service.agentToken('builder');
    await service.agentToken('other');
    const refused = await beat(token, 'other');
    expect(refused).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    expect(refused.body.detail).toContain('"other"');
    // Whether the agent exists is not told to those who may not know.
    expect(await beat(token, 'nobody')).toMatchObject({ status: 403 });
    for (const agent of ['builder', 'other']) {
      const operator = service.env['DEFIB_OPERATOR_TOKEN']!;
      expect(await beat(operator, agent)).toMatchObject({
        status: 200,
        body: { agentName: agent },
      });
    }
  });

  it.each([
    ['GET', '/api/agents'],
    ['GET', '/api/agents/builder'],
    ['PUT', '/api/agents/builder'],
    ['GET', '/api/tokens'],
    ['POST', '/api/tokens'],
    ['DELETE', '/api/tokens/01920000-0000-7000-8000-000000000000'],
  ])('keeps %s %s for operators', async (method, path) => {
    const token = await service.agentToken('builder');
    const body = method === 'PUT' || method === 'POST' ? {} : undefined;
    const answer = await service.call(method, path, { token, body });
    expect(answer).toMatchObject({ status: 403, body: { code: 'forbidden' } });
  });

  it('gives the token of a session none of the rights of its agent', async () => {
    const { runId } = (await beat(await service.agentToken('builder'))).body;
    const started = await service.call('POST', '/api/agents/builder/sessions', {
      body: { objective: 'paint the shed' },
    });
    expect(started.status).toBe(201);
    const { token } = started.body;
    expect(token).toMatch(/^dfb_se_/);
    expect(await beat(token)).toMatchObject({ status: 403 });
    expect(await service.call('GET', '/api/runs', { token })).toMatchObject({ status: 403 });
    expect(await service.call('GET', `/api/runs/${runId}`, { token })).toMatchObject({
      status: 404,
    });
    expect(await service.call('GET', '/api/agents', { token })).toMatchObject({ status: 403 });
  });

  it('shows a token once and keeps only its SHA-256', async () => {
    const { body } = await issue({ scope: 'agent', agentName: 'builder' });
    expect(body.token).toMatch(/^dfb_ag_[A-Za-z0-9_-]{43}$/);
    const row = await rowOf(body.id);
    expect(row.hash).toEqual(createHash('sha256').update(body.token).digest());
    expect(JSON.stringify(row)).not.toContain(body.token);
    const list = await service.call('GET', '/api/tokens');
    expect(list.text).toContain(body.id);
    expect(list.text).not.toContain(body.token);
    expect(list.text).not.toContain('hash');
  });

  it('writes down when a token was last used', async () => {
    const { body } = await issue({ scope: 'agent', agentName: 'builder' });
    expect(body.lastUsedAt).toBeNull();
    const before = Date.now();
    await beat(body.token);
    const used = await until(
      'the use is written',
      async () => (await rowOf(body.id)).last_used_at,
      15_000,
    );
    expect(used.getTime()).toBeGreaterThanOrEqual(before);
    const { items } = (await service.call('GET', '/api/tokens')).body;
    expect(items.find(({ id }: { id: string }) => id === body.id).lastUsedAt).toBe(
      used.toISOString(),
    );
  });
});

it('writes the uses that it has noted when it stops', async () => {
  const database = await createTestDatabase();
  const first = await startService('postgres', { database, worker: false });
  const { body } = await first.call('POST', '/api/tokens', { body: { scope: 'operator' } });
  await first.call('GET', '/api/agents', { token: body.token });
  await first.stop();
  const next = await startService('postgres', { database, worker: false });
  try {
    const { items } = (await next.call('GET', '/api/tokens')).body;
    expect(items).toMatchObject([{ id: body.id, lastUsedAt: expect.any(String) }]);
  } finally {
    await next.stop();
    await database.drop();
  }
});
