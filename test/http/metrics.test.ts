import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMetrics } from '../../src/http/metrics.ts';
import { createRunTally } from '../../src/services/runs/tally.ts';
import { createTestDatabase } from '../setup/database.ts';
import { startProxy } from '../setup/proxy.ts';
import { startService, type TestService } from '../setup/service.ts';
import { until } from '../setup/until.ts';

const scrape = (service: TestService) => service.call('GET', '/metrics', { token: null });

/** The value of one series, by its name and labels as they are written; undefined: not there. */
function valueOf(text: string, series: string): number | undefined {
  const line = text.split('\n').find((line) => line.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length));
}

const requests = (labels: string) => `defib_http_request_duration_seconds_count{${labels}}`;

describe('GET /metrics', () => {
  let service: TestService;
  beforeAll(async () => {
    service = await startService('postgres', { worker: false });
  });
  afterAll(() => service.stop());

  it('is the text format of Prometheus, with the metrics of the process', async () => {
    const { status, headers, text } = await scrape(service);
    expect(status).toBe(200);
    expect(headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(text).toMatch(/^process_cpu_seconds_total [\d.]+$/m);
    expect(text).toMatch(/^nodejs_eventloop_lag_p99_seconds [\d.]+$/m);
    expect(text).toMatch(/^# TYPE defib_runs_finished_total counter$/m);
    expect(text).toMatch(/^# TYPE defib_run_duration_seconds histogram$/m);
  });

  it('counts requests by the pattern of their route, never by their path', async () => {
    await service.call('GET', '/api/agents/secret-name');
    await service.call('GET', '/api/agents/another-name');
    await service.call('GET', '/api/agents/third-name', { token: null });
    await service.call('GET', '/wp-login.php', { token: null });
    await service.call('GET', '/api/wp-login.php');
    const { text } = await scrape(service);
    const one = 'method="GET",route="/api/agents/:agentName"';
    expect(valueOf(text, requests(`${one},status="404"`))).toBe(2);
    expect(valueOf(text, requests(`${one},status="401"`))).toBe(1);
    expect(valueOf(text, requests('method="GET",route="none",status="404"'))).toBe(2);
    expect(text).not.toMatch(/-name|wp-login/);
  });

  it('tells how many runs are queued and how many callers are held open', async () => {
    const token = await service.agentToken('builder');
    const beat = (headers: Record<string, string>) =>
      service.call('POST', '/api/agents/builder/heartbeat', { token, headers });
    await beat({ Prefer: 'respond-async' });
    // Two that wait for one run.
    const same = { Prefer: 'wait=20', 'Idempotency-Key': 'same' };
    const held = [beat(same), beat(same)];
    const waiters = () => service.started.deps.waiters.count();
    await until('both callers are held open', () => waiters() === 2);
    const { text } = await scrape(service);
    expect(valueOf(text, 'defib_runs_queued')).toBe(2);
    expect(valueOf(text, 'defib_waiters')).toBe(2);

    service.started.deps.waiters.close();
    await Promise.all(held);
    expect(valueOf((await scrape(service)).text, 'defib_waiters')).toBe(0);
  });

  it('is of this service alone, also with another in the process', async () => {
    const other = await startService('postgres', { worker: false });
    try {
      await service.call('GET', '/api/tokens');
      const series = requests('method="GET",route="/api/tokens",status="200"');
      expect(valueOf((await scrape(service)).text, series)).toBe(1);
      expect(valueOf((await scrape(other)).text, series)).toBeUndefined();
    } finally {
      await other.stop();
    }
  });
});

it('leaves out what it cannot read while the database is gone', async () => {
  const database = await createTestDatabase();
  const proxy = await startProxy(database.url);
  const env = { DATABASE_URL: proxy.url };
  const service = await startService('postgres', { database, worker: false, env });
  try {
    expect(valueOf((await scrape(service)).text, 'defib_runs_queued')).toBe(0);
    for (const how of ['cut', 'stall'] as const) {
      proxy[how]();
      const { status, text } = await scrape(service);
      expect(status).toBe(200);
      expect(valueOf(text, 'defib_runs_queued')).toBeUndefined();
      expect(valueOf(text, 'defib_waiters')).toBe(0);
      proxy.restore();
      await until(
        'the figure is back',
        async () => valueOf((await scrape(service)).text, 'defib_runs_queued') === 0,
      );
    }
  } finally {
    await service.stop();
    await proxy.close();
    await database.drop();
  }
});

describe('the metrics of runs', () => {
  it('count each finished run once, also when two scrape at once', async () => {
    const service = await startService('postgres');
    try {
      let ahead = 0;
      const tally = createRunTally({
        db: service.started.deps.db,
        settleMs: 10_000,
        batch: 100,
        now: () => Date.now() + ahead,
      });
      const errors: unknown[] = [];
      const metrics = createMetrics({
        takeFinishedRuns: () => tally.takeFinished(),
        countQueued: () => Promise.resolve(0),
        countWaiters: () => 0,
        onError: (error) => errors.push(error),
      });
      const token = await service.agentToken('builder');
      for (let at = 0; at < 3; at += 1) {
        await service.call('POST', '/api/agents/builder/heartbeat', { token });
      }
      const finished = 'defib_runs_finished_total{kind="heartbeat",status="ok"}';
      expect(valueOf(await metrics.scrape(), finished)).toBeUndefined();
      ahead = 60_000;
      const texts = await Promise.all([metrics.scrape(), metrics.scrape(), metrics.scrape()]);
      for (const text of [...texts, await metrics.scrape()]) {
        expect(valueOf(text, finished)).toBe(3);
        const count = valueOf(text, 'defib_run_duration_seconds_count{kind="heartbeat"}');
        expect(count).toBe(3);
      }
      expect(errors).toEqual([]);
    } finally {
      await service.stop();
    }
  });
});
