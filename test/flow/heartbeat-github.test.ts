import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FakeGitHub, startFakeGitHub } from '../setup/github/fake.ts';
import { backends, startService, type TestService } from '../setup/service.ts';
import { until } from '../setup/until.ts';

/** From an operator's first call to a reconciled issue, over HTTP, against a GitHub that is held to its description. */
describe.each(backends)('a heartbeat on %s with repositories', (backend) => {
  let github: FakeGitHub;
  let service: TestService;
  let token: string;

  beforeAll(async () => {
    github = await startFakeGitHub({ token: 'gh-secret' });
    service = await startService(backend, {
      env: {
        GITHUB_API_URL: github.url,
        GITHUB_TOKEN: 'gh-secret',
        DEFIB_SYNC_FRESHNESS_SECONDS: '1',
      },
    });
    token = await service.agentToken('builder');
  });
  afterAll(async () => {
    await service.stop();
    await github.close();
  });

  const beat = () => service.call('POST', '/api/agents/builder/heartbeat', { token });

  it('syncs what the agent tracks, and says so', async () => {
    github.repo('acme/app', { issues: 120 });
    await service.call('PUT', '/api/agents/builder', { body: { repos: ['acme/app'] } });

    const { body } = await beat();
    expect(body).toMatchObject({ status: 'ok', summary: '1 repository in sync.', warnings: [] });
    const issues = await service.started.deps.db.selectFrom('issues').select('number').execute();
    expect(issues).toHaveLength(120);
    const repo = await service.call('GET', '/api/repos/acme/app');
    expect(repo.body).toMatchObject({ owner: 'acme', name: 'app', failure: null });
    expect(repo.body.syncedAt).not.toBeNull();
    expect(github.violations).toEqual([]);
  });

  it('names a repository that cannot be read in one warning, and reads the others', async () => {
    await service.call('PUT', '/api/agents/builder', {
      body: { repos: ['acme/app', 'acme/missing'] },
    });
    const { status, body } = await beat();
    expect(status).toBe(200);
    expect(body).toMatchObject({ status: 'warning', errors: [] });
    expect(body.warnings).toHaveLength(1);
    expect(body.warnings[0]).toMatch(/^sync issues: acme\/missing: /);
    const run = await service.call('GET', `/api/runs/${body.runId}`, { token });
    expect(run.body.warnings).toEqual(body.warnings);
    expect(run.body.steps).toMatchObject([
      { name: 'load agent', status: 'ok' },
      { name: 'renew session', status: 'skipped' },
      { name: 'sync issues', status: 'warning' },
      { name: 'reconcile issues', status: 'ok' },
      { name: 'reconcile sessions', status: 'skipped' },
    ]);
  });

  it('ends the claim of an issue that was closed upstream, and touches it', async () => {
    const repo = github.repo('acme/work');
    const number = repo.open({ labels: ['status/in-progress', 'agent/builder', 'bug'] });
    await service.call('PUT', '/api/agents/builder', { body: { repos: ['acme/work'] } });
    const adopted = await beat();
    expect(adopted.body.summary).toContain('adopted 1 claim');
    expect(adopted.body.touchedIssueUrls).toEqual([
      `https://github.com/acme/work/issues/${number}`,
    ]);

    github.clock.advance(60_000);
    repo.close(number);
    const released = await until('the close was seen', async () => {
      const { body } = await beat();
      return body.summary.includes('released') && body;
    });
    expect(released.touchedIssueUrls).toEqual(adopted.body.touchedIssueUrls);
    await until('the labels followed', async () => {
      await beat();
      return repo.labels(number).includes('status/done');
    });
    expect(repo.labels(number)).toEqual(['bug', 'status/done']);
    expect(github.violations).toEqual([]);
  });
});
