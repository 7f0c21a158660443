import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { backends, startService, type TestService } from '../setup/service.ts';

const basic = (password: string, user = 'anyone') => ({
  Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
});

describe.each(backends)('Bull Board on %s', (backend) => {
  let service: TestService;
  let operator: Record<string, string>;
  const get = (path: string, headers: Record<string, string> = operator) =>
    service.call('GET', `/admin/queues${path}`, { token: null, headers });

  beforeAll(async () => {
    service = await startService(backend);
    operator = basic(service.env['DEFIB_OPERATOR_TOKEN']!);
  });
  afterAll(() => service.stop());

  it('asks a browser to sign in', async () => {
    const agent = await service.agentToken('builder');
    const refused: Record<string, string>[] = [
      {},
      basic('wrong'),
      basic(agent),
      basic(''),
      { Authorization: 'Basic !' },
      { Authorization: `Bearer ${agent}` },
    ];
    for (const path of ['', '/', '/api/queues', '/static/favicon-32x32.png']) {
      for (const headers of refused) {
        const answer = await get(path, headers);
        expect(answer.status).toBe(401);
        expect(answer.headers.get('www-authenticate')).toMatch(/^Basic /);
        expect(answer.text).not.toContain('heartbeat');
      }
    }
  });

  it('lets operators in: with the password in any browser, with a bearer token in a script', async () => {
    const { token } = (await service.call('POST', '/api/tokens', { body: { scope: 'operator' } }))
      .body;
    for (const headers of [operator, basic(token, ''), { Authorization: `Bearer ${token}` }]) {
      expect((await get('/api/queues', headers)).status).toBe(200);
    }
  });

  it('shows the job of a heartbeat under a name that an operator understands', async () => {
    const token = await service.agentToken('builder');
    const beat = await service.call('POST', '/api/agents/builder/heartbeat', { token });
    expect(beat.status).toBe(200);
    const { body } = await get('/api/queues?activeQueue=heartbeat&status=latest&page=1');
    const queue = body.queues.find(({ name }: { name: string }) => name === 'heartbeat');
    const job = queue.jobs.find(
      ({ data }: { data: { runId?: string } }) => data.runId === beat.body.runId,
    );
    expect(job).toMatchObject({ name: 'heartbeat builder', data: { agentName: 'builder' } });
    expect(JSON.stringify(body)).not.toContain(token);
  });

  it('serves its page with all that the page loads, and lets it load nothing from elsewhere', async () => {
    const page = await get('');
    expect(page.headers.get('content-type')).toContain('text/html');
    expect(page.headers.get('content-security-policy')).toContain("default-src 'self'");
    expect(page.headers.get('content-security-policy')).not.toMatch(/https?:|\*/);
    expect(page.headers.get('x-frame-options')).toBe('DENY');
    const base = new URL(/<base href="([^"]+)"/.exec(page.text)![1]!, service.url);
    const assets = [...page.text.matchAll(/(?:src|href)="(static\/[^"]+)"/g)].map(
      ([, path]) => path!,
    );
    expect(assets.filter((path) => path.endsWith('.js')).length).toBeGreaterThan(0);
    expect(assets.filter((path) => path.endsWith('.css')).length).toBeGreaterThan(0);
    for (const path of assets) {
      const { pathname } = new URL(path, base);
      const asset = await service.call('GET', pathname, { token: null, headers: operator });
      expect(asset.status, pathname).toBe(200);
      expect(asset.text.length).toBeGreaterThan(0);
    }
    // Many type the slash.
    expect((await get('/')).text).toBe(page.text);
  });

  it('takes changes from its own page and from scripts, not from other sites', async () => {
    const pause = (headers: Record<string, string>) =>
      service.call('PUT', '/admin/queues/api/queues/housekeeping/pause', {
        token: null,
        headers: { ...operator, ...headers },
      });
    const refused: Record<string, string>[] = [
      { 'Sec-Fetch-Site': 'cross-site' },
      { 'Sec-Fetch-Site': 'same-site' },
      { Origin: 'https://evil.example' },
      { Origin: 'null' },
    ];
    for (const headers of refused) {
      expect(await pause(headers)).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    }
    const accepted: Record<string, string>[] = [
      { 'Sec-Fetch-Site': 'same-origin' },
      { Origin: service.url },
      {},
    ];
    for (const headers of accepted) expect((await pause(headers)).status).toBe(200);
  });
});
