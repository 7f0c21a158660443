import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createSignInFailures } from '../../src/services/tokens/failures.ts';
import { startService, type TestService } from '../setup/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService('postgres', { worker: false });
});
afterAll(() => service.stop());
beforeEach(() => service.started.deps.db.deleteFrom('audit').execute());

const entries = async () => (await service.call('GET', '/api/audit?limit=200')).body.items;
const unknownId = '01920000-0000-7000-8000-000000000000';

describe('the audit', () => {
  it('records who changed what, once each, newest first', async () => {
    const issued = await service.call('POST', '/api/tokens', { body: { scope: 'operator' } });
    const token: string = issued.body.token;
    const as = (method: string, path: string, body?: object) =>
      service.call(method, path, { token, ...(body && { body }) });
    await as('PUT', '/api/agents/builder', { policy: { leaseSeconds: 30 }, paused: true });
    await as('PUT', '/api/repos/acme/app');
    await as('DELETE', '/api/repos/acme/app');
    await as('DELETE', `/api/tokens/${issued.body.id}`);
    const found = await entries();
    const by = { scope: 'operator', tokenId: issued.body.id, agentName: null };
    expect(found).toMatchObject([
      { action: 'token.revoke', target: issued.body.id, actor: by },
      { action: 'repo.delete', target: 'acme/app', actor: by },
      { action: 'repo.put', target: 'acme/app', actor: by },
      {
        action: 'agent.put',
        target: 'builder',
        actor: by,
        details: { policy: { leaseSeconds: 30 }, paused: true },
        address: '127.0.0.1',
        requestId: expect.any(String),
      },
      { action: 'token.issue', target: issued.body.id, details: { scope: 'operator' } },
    ]);
    expect(JSON.stringify(found)).not.toContain(token);
  });

  it('records an operator who interrupts a session', async () => {
    const { body } = await service.call('POST', '/api/agents/worker/sessions', {
      token: await service.agentToken('worker'),
      body: { objective: 'x' },
    });
    const path = `/api/sessions/${body.session.id}/interrupt`;
    await service.call('POST', path, { body: { reason: 'lunch' } });
    expect((await entries())[0]).toMatchObject({
      action: 'session.interrupt',
      target: body.session.id,
      details: { reason: 'lunch' },
    });
  });

  it('records nothing of what was refused', async () => {
    await service.call('DELETE', `/api/tokens/${unknownId}`);
    await service.call('DELETE', '/api/repos/acme/unknown');
    await service.call('PUT', '/api/agents/builder', { body: { paused: 'yes' } });
    expect(await entries()).toEqual([]);
  });

  it('is in the transaction of the change: neither is there without the other', async () => {
    const { db } = service.started.deps;
    const agents = async () => (await db.selectFrom('agents').select('name').execute()).length;
    const before = await agents();
    const name = 'x'.repeat(40);
    const refuse = `ALTER TABLE audit ADD CONSTRAINT refused CHECK (target <> '${name}')`;
    await sql.raw(refuse).execute(db);
    expect((await service.call('PUT', `/api/agents/${name}`, { body: {} })).status).toBe(500);
    expect(await agents()).toBe(before);
  });

  it('gives every entry once, page by page, to operators alone', async () => {
    for (let n = 0; n < 5; n += 1) await service.call('PUT', `/api/agents/a${n}`, { body: {} });
    const targets: string[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const page = await service.call('GET', `/api/audit?limit=2${cursor && `&cursor=${cursor}`}`);
      targets.push(...page.body.items.map((item: { target: string }) => item.target));
      cursor = page.body.nextCursor;
    }
    expect(targets).toEqual(['a4', 'a3', 'a2', 'a1', 'a0']);
    const token = await service.agentToken('builder');
    expect((await service.call('GET', '/api/audit', { token })).status).toBe(403);
  });
});

describe('wrong tokens', () => {
  it('are slowed by address, and keep no right token out', async () => {
    const own = await startService('postgres', { worker: false });
    try {
      const wrong = (n: number) => `dfb_ag_${String(n).padStart(43, '0')}`;
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, n) => own.call('GET', '/api/runs', { token: wrong(n) })),
      );
      const count = (status: number) => answers.filter((answer) => answer.status === status).length;
      expect([count(401), count(429)]).toEqual([20, 30]);
      const refused = answers.find(({ status }) => status === 429);
      expect(refused?.body.code).toBe('rate_limited');
      expect(Number(refused?.headers.get('retry-after'))).toBeGreaterThan(0);
      const token = await own.agentToken('builder');
      expect((await own.call('GET', '/api/runs', { token })).status).toBe(200);
      const basic = Buffer.from(`x:${wrong(1)}`).toString('base64');
      const headers = { Authorization: `Basic ${basic}` };
      const board = await own.call('GET', '/admin/queues', { token: null, headers });
      expect(board.status).toBe(429);
    } finally {
      await own.stop();
    }
  });

  it('are in the audit by address and number, within bounds', async () => {
    const { db } = service.started.deps;
    let time = 0;
    const limits = { max: 2, windowMs: 60_000, addresses: 3, named: 2 };
    const failures = createSignInFailures(db, () => time, limits);
    const noted = ['a', 'a', 'a', 'b', 'c', 'd'].map((address) => failures.note(address));
    expect(noted).toEqual([undefined, undefined, 60, undefined, undefined, undefined]);
    await failures.flush();
    await failures.flush();
    expect(await entries()).toMatchObject([
      { target: 'other addresses', details: { count: 2 } },
      { target: 'b', details: { count: 1 } },
      {
        action: 'sign_in.failed',
        target: 'a',
        details: { count: 3 },
        actor: { scope: 'stranger' },
      },
    ]);
    // "a" was forgotten for the sake of those after it; and a window ends.
    expect(failures.note('a')).toBeUndefined();
    failures.note('d');
    expect(failures.note('d')).toBe(60);
    time = 60_001;
    expect(failures.note('d')).toBeUndefined();
  });
});
