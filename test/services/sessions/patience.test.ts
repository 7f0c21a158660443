import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { watchSessions } from '../../../src/services/sessions/watch.ts';
import { type Answer, startService, type TestService } from '../../setup/service.ts';

let service: TestService;
let agent: string;
beforeAll(async () => {
  // The test looks for itself.
  service = await startService('postgres', {
    worker: false,
    env: { DEFIB_RESUME_BACKOFF_SECONDS: '5' },
  });
  agent = await service.agentToken('builder');
});
afterAll(() => service.stop());

const look = () => {
  const { db, log, sessionSettings } = service.started.deps;
  return watchSessions({ db, log, settings: sessionSettings, batch: 100 });
};
const start = () =>
  service.call('POST', '/api/agents/builder/sessions', {
    token: agent,
    body: { objective: 'fix the build', leaseSeconds: 60 },
  });
const post = ({ body }: Answer, verb: string, sent: object = {}) =>
  service.call('POST', `/api/sessions/${body.session.id}/${verb}`, {
    token: body.token,
    body: sent,
  });
const read = async (id: string) => (await service.call('GET', `/api/sessions/${id}`)).body;
const age = (id: string, column: string, seconds: number) =>
  sql`UPDATE sessions SET ${sql.ref(column)} = now() - make_interval(secs => ${seconds})
    WHERE id = ${id}`.execute(service.started.deps.db);

describe('after the service was away', () => {
  it('leases run anew before anything is ended; what had fallen silent before is ended', async () => {
    const [one, two] = [await start(), await start()];
    for (const each of [one, two]) await post(each, 'heartbeat');
    await look();
    await sql`UPDATE watch_passes SET at = now() - interval '10 minutes'`.execute(
      service.started.deps.db,
    );
    await age(one.body.session.id, 'lease_expires_at', 300);
    await age(two.body.session.id, 'lease_expires_at', 900);
    expect(await look()).toMatchObject({ timedOut: 1 });
    expect(await read(two.body.session.id)).toMatchObject({ status: 'timed_out' });
    expect(await read(one.body.session.id)).toMatchObject({ status: 'running' });
    // Once: it has had its time to be heard of.
    await age(one.body.session.id, 'lease_expires_at', 1);
    expect(await look()).toMatchObject({ timedOut: 1 });
  });
});

describe('work that was completed although it had been given up', () => {
  it('is completed, and what was to go on is not begun', async () => {
    const session = await start();
    await post(session, 'interrupt', { reason: 'it was silent' });
    await age(session.body.session.id, 'ended_at', 3600);
    expect(await look()).toMatchObject({ resumed: 1 });
    expect(await post(session, 'finish', { outcome: 'completed' })).toMatchObject({
      status: 200,
      body: { status: 'completed' },
    });
    const { attempts } = await read(session.body.session.id);
    expect(attempts).toMatchObject([
      { status: 'completed' },
      { status: 'cancelled', endReason: 'completed_before' },
    ]);
    expect((await post(session, 'finish', { outcome: 'completed' })).status).toBe(200);
    expect(await look()).toMatchObject({ resumed: 0 });
  });

  it('is refused once somebody has gone on with it', async () => {
    const session = await start();
    const { id } = session.body.session;
    await post(session, 'interrupt', { reason: 'it was silent', goesOn: true });
    await age(id, 'ended_at', 3600);
    await look();
    const claim = { token: agent, body: { resumedFrom: id } };
    expect((await service.call('POST', '/api/agents/builder/claim', claim)).status).toBe(200);
    expect(await post(session, 'finish', { outcome: 'completed' })).toMatchObject({
      status: 409,
      body: { code: 'session_superseded' },
    });
  });
});

describe('the next attempt', () => {
  it.each([
    ['soon after one that was at work', 3600, [6]],
    ['later after one that had hardly begun', 10, [21]],
  ])('comes %s', async (_, lived, [wait]) => {
    const session = await start();
    const { id } = session.body.session;
    await post(session, 'interrupt', { reason: 'its command ended with code 1' });
    const at = (seconds: number) => sql`UPDATE sessions SET
      ended_at = now() - make_interval(secs => ${seconds}),
      started_at = now() - make_interval(secs => ${seconds + lived}) WHERE id = ${id}`;
    await at(wait! - 2).execute(service.started.deps.db);
    expect(await look()).toMatchObject({ resumed: 0 });
    await at(wait!).execute(service.started.deps.db);
    expect(await look()).toMatchObject({ resumed: 1 });
  });
});
