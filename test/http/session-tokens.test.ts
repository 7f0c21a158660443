import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startService, type TestService } from '../setup/service.ts';

let service: TestService;
let agent: string;
beforeAll(async () => {
  service = await startService('postgres', { worker: false });
  agent = await service.agentToken('builder');
});
afterAll(() => service.stop());

type Started = { id: string; token: string };

async function start(): Promise<Started> {
  const { body } = await service.call('POST', '/api/agents/builder/sessions', {
    token: agent,
    body: { objective: 'x' },
  });
  return { id: body.session.id, token: body.token };
}

/** Makes `next` the attempt after `first`, as a resume does. */
async function chain(first: Started, next: Started): Promise<void> {
  const { db } = service.started.deps;
  await db
    .updateTable('sessions')
    .set({ status: 'timed_out', ended_at: new Date() })
    .where('id', '=', first.id)
    .execute();
  await db
    .updateTable('sessions')
    .set({ root_id: first.id, resumed_from: first.id, attempt: 2 })
    .where('id', '=', next.id)
    .execute();
}

describe('the token of a session', () => {
  it('reads the attempts before it, and none after it', async () => {
    const [first, next] = [await start(), await start()];
    await chain(first, next);
    const list = (of: Started, by: Started) =>
      service.call('GET', `/api/sessions/${of.id}/checkpoints`, { token: by.token });
    expect(await list(first, next)).toMatchObject({ status: 200 });
    expect(await list(first, first)).toMatchObject({ status: 200 });
    expect(await list(next, first)).toMatchObject({ status: 404, body: { code: 'not_found' } });
  });

  it('ends a week after its session', async () => {
    const one = await start();
    const read = () => service.call('GET', `/api/sessions/${one.id}`, { token: one.token });
    const end = (daysAgo: number) =>
      service.started.deps.db
        .updateTable('sessions')
        .set({ status: 'failed', ended_at: new Date(Date.now() - daysAgo * 24 * 3600 * 1000) })
        .where('id', '=', one.id)
        .execute();
    await end(6.9);
    expect((await read()).status).toBe(200);
    await end(7.1);
    const other = await start();
    // Another process has not seen the token, and so does not believe it for the moment.
    const second = await startService('postgres', {
      worker: false,
      database: service.database,
      env: service.env,
    });
    try {
      const asked = (token: string) =>
        second.call('GET', `/api/sessions/${one.id}`, { token }).then(({ status }) => status);
      expect([await asked(one.token), await asked(other.token)]).toEqual([401, 404]);
    } finally {
      await second.stop();
    }
  });

  it('is not shown by an error of a tool', async () => {
    const secret = 'dfb_se_not-to-be-shown';
    const tool = {
      name: 'finish',
      arguments: { outcome: 'failed', session: { id: 'x', token: `${secret}\n` } },
    };
    const answer = await service.call('POST', '/mcp', {
      token: agent,
      headers: { Accept: 'application/json, text/event-stream' },
      body: { jsonrpc: '2.0', id: 1, method: 'tools/call', params: tool },
    });
    expect(answer.status).toBe(200);
    expect(answer.text).toContain('unauthorized');
    expect(answer.text).not.toContain(secret);
  });
});
