import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Resumable, startResumable, type Started } from '../setup/resumable.ts';
import { until } from '../setup/until.ts';

let flow: Resumable;
beforeAll(async () => {
  flow = await startResumable('postgres');
});
afterAll(() => flow.stop());

const claim = (body: object = {}) =>
  flow.service.call('POST', '/api/agents/builder/claim', { token: flow.agent, body });

const stop = (session: Started, body: object = {}) =>
  session.post('interrupt', { reason: 'its command ended', ...body });

/** The one that goes on, once the watch has made it. */
const heirOf = (id: string) =>
  until('there is a successor', async () => (await flow.session(id)).attempts[1]);

describe('the next attempt of a supervisor that goes on itself', () => {
  it('is kept for its claim, and nothing is restored for it', async () => {
    const session = await flow.start();
    await stop(session, { goesOn: true });
    const heir = await heirOf(session.id);
    expect((await claim()).status).toBe(204);
    const waiting = await claim({ sessionId: heir.id });
    expect([waiting.status, waiting.headers.get('retry-after')]).toEqual([204, '1']);
    const given = await claim({ resumedFrom: session.id, host: 'here', worktree: '/work/app' });
    expect(given).toMatchObject({
      status: 200,
      body: { session: { id: heir.id, attempt: 2, status: 'starting', worktree: '/work/app' } },
    });
    expect(await flow.runs('resume', heir.id)).toEqual([]);
    expect(await flow.runs('checkpoint', session.id)).toEqual([]);
    await flow.service.call('POST', `/api/sessions/${heir.id}/finish`, {
      token: given.body.token,
      body: { outcome: 'completed' },
    });
    expect(await claim({ resumedFrom: session.id })).toMatchObject({
      status: 409,
      body: { code: 'session_ended' },
    });
  });

  it('goes to one of two that ask at once', async () => {
    const session = await flow.start();
    await stop(session, { goesOn: true });
    const heir = await heirOf(session.id);
    const answers = await Promise.all([1, 2, 3].map(() => claim({ resumedFrom: session.id })));
    const statuses = answers.map(({ status }) => status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(1);
    // Who came in the very moment is told to ask again.
    for (const status of statuses) expect([200, 204, 409]).toContain(status);
    expect(await claim({ resumedFrom: session.id })).toMatchObject({
      status: 409,
      body: { code: 'session_superseded', successorId: heir.id },
    });
  });

  it('is anybody’s when that supervisor does not come', async () => {
    const session = await flow.start();
    await stop(session, { goesOn: true });
    const heir = await heirOf(session.id);
    await flow
      .db()
      .updateTable('sessions')
      .set({ reserved_until: new Date(Date.now() - 1000), spawn_at: new Date(Date.now() - 1000) })
      .where('id', '=', heir.id)
      .execute();
    expect((await flow.claim()).id).toBe(heir.id);
    expect(await flow.runs('resume', heir.id)).toHaveLength(1);
  });
});

describe('a given session', () => {
  it('is had by its own id, or by the attempt before it, once it is prepared', async () => {
    const [one, two] = [await flow.start(), await flow.start()];
    await stop(one);
    await stop(two);
    const second = await until('the younger can be had', async () => {
      const answer = await claim({ resumedFrom: two.id });
      return answer.status === 200 ? answer : undefined;
    });
    expect(second.body.session.resumedFrom).toBe(two.id);
    const heir = await heirOf(one.id);
    const first = await until('so can the older', async () => {
      const answer = await claim({ sessionId: heir.id });
      return answer.status === 200 ? answer : undefined;
    });
    expect(first.body.continuation).toContain('attempt 2');
  });

  it('is named to who begins its issue again', async () => {
    const issueUrl = 'https://github.com/acme/app/issues/8';
    const one = await flow.start({ issueUrl });
    await stop(one, { goesOn: true });
    const heir = await heirOf(one.id);
    const again = await flow.service.call('POST', '/api/agents/builder/sessions', {
      token: flow.agent,
      body: { objective: 'again', issueUrl },
    });
    expect(again).toMatchObject({ status: 409, body: { code: 'issue_claimed' } });
    expect(again.body.detail).toContain(`defib resume ${heir.id}`);
    expect((await claim({ resumedFrom: one.id })).status).toBe(200);
  });

  it('is waited for as long as its back-off', async () => {
    await flow.policy({ resumeBackoffSeconds: 100 });
    const session = await flow.start();
    await stop(session, { goesOn: true });
    const answer = await claim({ resumedFrom: session.id });
    expect(answer.status).toBe(204);
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(90);
    await flow.policy({});
  });

  it('is refused with what to do where there will be none', async () => {
    const live = await flow.start();
    const refused = async (body: object) => {
      const answer = await claim(body);
      expect(answer.status).toBeGreaterThanOrEqual(400);
      return `${answer.body.code}: ${answer.body.detail}`;
    };
    expect(await refused({ resumedFrom: live.id })).toContain('conflict: ');
    await flow.policy({}, true);
    await stop(live);
    expect(await refused({ resumedFrom: live.id })).toContain('is paused');
    await flow.policy({ resumeBudget: 0 });
    expect(await refused({ resumedFrom: live.id })).toContain('budget is spent');
    await flow.policy({});
    const done = await flow.start();
    await done.post('finish', { outcome: 'failed' });
    expect(await refused({ sessionId: done.id })).toContain('session_ended: ');
    expect(await refused({ sessionId: live.id, resumedFrom: live.id })).toContain('invalid: ');
    const other = await flow.service.agentToken('other');
    const stolen = await flow.service.call('POST', '/api/agents/other/claim', {
      token: other,
      body: { resumedFrom: live.id },
    });
    expect(stolen.status).toBe(404);
  });
});
