import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FakeGitHub, startFakeGitHub } from '../setup/github/fake.ts';
import { backends, startService, type TestService } from '../setup/service.ts';
import { until } from '../setup/until.ts';

/** A heartbeat looks after the sessions of its agent, and the watch runs by itself. */
describe.each(backends)('heartbeats and sessions on %s', (backend) => {
  let github: FakeGitHub;
  let service: TestService;
  let token: string;

  beforeAll(async () => {
    github = await startFakeGitHub();
    service = await startService(backend, {
      env: { GITHUB_API_URL: github.url, DEFIB_SYNC_FRESHNESS_SECONDS: '1' },
    });
    token = await service.agentToken('builder');
  });
  afterAll(async () => {
    await service.stop();
    await github.close();
  });

  const beat = (body: object = {}) =>
    service.call('POST', '/api/agents/builder/heartbeat', { token, body });
  const start = (body: object = {}) =>
    service.call('POST', '/api/agents/builder/sessions', {
      token,
      body: { objective: 'fix the build', ...body },
    });

  it('renews the session that the heartbeat names', async () => {
    const { body } = await start();
    const { body: answer } = await beat({ sessionId: body.session.id, turn: 4, note: 'so far' });
    expect(answer).toMatchObject({ status: 'ok' });
    const { body: after } = await service.call('GET', `/api/sessions/${body.session.id}`);
    expect(after).toMatchObject({ status: 'running', turn: 4 });
    expect((await service.call('GET', `/api/runs/${answer.runId}`)).body.sessionId).toBe(
      body.session.id,
    );

    await service.call('POST', `/api/sessions/${body.session.id}/finish`, {
      token: body.token,
      body: { outcome: 'completed' },
    });
    const refused = await beat({ sessionId: body.session.id });
    expect(refused).toMatchObject({ status: 409, body: { code: 'session_ended' } });
  });

  it("knows no other agent's session", async () => {
    const other = await service.agentToken('other');
    const { body } = await service.call('POST', '/api/agents/other/sessions', {
      token: other,
      body: { objective: 'mine' },
    });
    const answer = await beat({ sessionId: body.session.id });
    expect(answer).toMatchObject({ status: 404, body: { code: 'not_found' } });
  });

  it('cancels the session of an issue that was closed upstream', async () => {
    const repo = github.repo('acme/app');
    const number = repo.open();
    await service.call('PUT', '/api/agents/builder', { body: { repos: ['acme/app'] } });
    await beat();
    const issueUrl = `https://github.com/acme/app/issues/${number}`;
    const { body } = await start({ issueUrl });
    const claims = await service.started.deps.db.selectFrom('issue_claims').selectAll().execute();
    expect(claims).toMatchObject([{ session_id: body.session.id, source: 'session' }]);

    github.clock.advance(60_000);
    repo.close(number);
    const told = await until('the directive came', async () => {
      const answer = await beat();
      return answer.body.directives.length > 0 && answer.body;
    });
    const cancel = {
      type: 'cancel',
      sessionId: body.session.id,
      reason: 'the issue was closed upstream',
    };
    expect(told.directives).toEqual([cancel]);
    expect(told.touchedIssueUrls).toEqual([issueUrl]);
    const light = await service.call('POST', `/api/sessions/${body.session.id}/heartbeat`, {
      token: body.token,
    });
    expect(light.body.directives).toEqual([cancel]);
  });

  it('finds the dead by itself, and tells of it in the next heartbeat', async () => {
    const { body } = await start();
    const { db } = service.started.deps;
    await beat();
    await db
      .updateTable('sessions')
      .set({ start_deadline_at: new Date(Date.now() - 1000) })
      .where('id', '=', body.session.id)
      .execute();
    await until('the watch resumed it', async () => {
      const { body: now } = await service.call('GET', `/api/sessions/${body.session.id}`);
      return now.status === 'timed_out' && now.endReason === 'never_started' && now.attempts[1];
    });
    const { body: told } = await beat();
    expect(told.summary).toContain('1 session timed out, 1 session resumed');
  });
});
