import { hostname } from 'node:os';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startService, type TestService } from '../setup/service.ts';
import { until } from '../setup/until.ts';

let service: TestService;
beforeAll(async () => {
  // Without workers, so that nothing moves by itself.
  service = await startService('postgres', { worker: false });
});
afterAll(() => service.stop());

const db = () => service.started.deps.db;
const status = async () => (await service.call('GET', '/api/status')).body;
const ready = async () => (await service.call('GET', '/readyz', { token: null })).body;

async function startSession(agentName: string): Promise<string> {
  await service.agentToken(agentName);
  const path = `/api/agents/${agentName}/sessions`;
  const { body } = await service.call('POST', path, { body: { objective: 'work' } });
  return body.session.id;
}

const makeReady = (id: string, age: string) =>
  sql`
  UPDATE sessions SET status = 'pending', start_deadline_at = NULL, deadline_at = NULL,
    ready_at = now() - ${age}::interval WHERE id = ${id}`.execute(db());

describe('GET /api/status', () => {
  it('is for operators', async () => {
    const token = await service.agentToken('builder');
    expect((await service.call('GET', '/api/status', { token })).status).toBe(403);
  });

  it('lists hosts, what waits and what needs a person, with the verb', async () => {
    const [waiting, flagged, running] = [
      await startSession('waiter'),
      await startSession('flagged'),
      await startSession('runner'),
    ];
    await makeReady(waiting, '1 hour');
    await sql`
      UPDATE sessions SET status = 'timed_out', end_reason = 'lease_expired', ended_at = now(),
        attempt = 4, needs_attention = true WHERE id = ${flagged}`.execute(db());
    await sql`
      INSERT INTO worker_hosts (host, seen_at)
      VALUES ('away', now() - interval '1 hour'), ('here', now())`.execute(db());
    expect(await status()).toEqual({
      hosts: [
        { host: 'here', live: true, lastSeenAt: expect.any(String) },
        { host: 'away', live: false, lastSeenAt: expect.any(String) },
      ],
      sessions: {
        byStatus: { pending: 1, starting: 1, timed_out: 1 },
        byCause: { silent: 1 },
      },
      waiting: [
        {
          sessionId: waiting,
          agentName: 'waiter',
          for: 'claim',
          since: expect.any(String),
          until: null,
          verb: 'resume',
        },
      ],
      needsAttention: [
        {
          sessionId: flagged,
          agentName: 'flagged',
          reason: '4 attempts, the last ended by lease_expired',
          verb: 'retry',
        },
      ],
      results: [],
    });
    for (const [path, id] of [
      [`/api/sessions?idPrefix=${running.slice(0, 23)}`, running],
      [`/api/sessions?idPrefix=${waiting.replaceAll('-', '').toUpperCase()}`, waiting],
    ]) {
      const { body } = await service.call('GET', path!);
      expect(body.items.map((one: { id: string }) => one.id)).toEqual([id]);
    }
    expect((await service.call('GET', '/api/sessions?idPrefix=01a')).status).toBe(422);
    expect((await service.call('GET', '/api/runs?idPrefix=ffff')).body.items).toEqual([]);
  });
});

it('/readyz stays ready, and warns that nobody works, waits are long, programs missing', async () => {
  await sql`DELETE FROM worker_hosts`.execute(db());
  const answer = await ready();
  expect(answer).toMatchObject({ status: 'ready' });
  expect(answer.checks).not.toHaveProperty('worker');
  expect(answer.warnings).toEqual([
    expect.stringContaining('No worker is alive'),
    expect.stringContaining('1 session wait'),
  ]);
  const spawner = { type: 'command', command: ['no-such-program-of-anybody'] };
  const body = { policy: { spawner } };
  expect((await service.call('PUT', '/api/agents/spawned', { body })).status).toBe(200);
  const { database } = service;
  const env = { DEFIB_OPERATOR_TOKEN: service.env['DEFIB_OPERATOR_TOKEN']! };
  const working = await startService('postgres', { database, env });
  try {
    const warned = await until('its worker is known', async () => {
      const { body } = await working.call('GET', '/readyz', { token: null });
      return body.warnings.length === 2 && body;
    });
    expect(warned.checks).toMatchObject({ worker: 'ok' });
    expect(warned.warnings[1]).toContain('1 program that agents are started by cannot be found');
    expect(await status()).toMatchObject({ hosts: [{ host: hostname(), live: true }] });
  } finally {
    await working.stop();
  }
});

it('GET /api/me tells whom a token stands for', async () => {
  const me = async (token?: string) =>
    (await service.call('GET', '/api/me', { ...(token && { token }) })).body;
  expect(await me()).toEqual({
    scope: 'operator',
    tokenId: null,
    agentName: null,
    sessionId: null,
  });
  expect(await me(await service.agentToken('builder'))).toMatchObject({
    scope: 'agent',
    tokenId: expect.any(String),
    agentName: 'builder',
  });
});
