import { readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/db/embedded.ts';
import { migrate } from '../../src/db/migrate.ts';
import { allRuns, beatMany, tally } from '../setup/load.ts';
import { backends, startService, type TestService } from '../setup/service.ts';
import { onServer } from '../setup/database.ts';
import { tether, type Tether } from '../setup/tether.ts';
import { until } from '../setup/until.ts';

/** A server of this file's own, which starts again by itself when it is killed. */
let server: EmbeddedPostgres;
let folder: string;
let line: Tether;
const pidFile = () => join(folder, 'postgres', 'postmaster.pid');
const postmaster = () => Number.parseInt(readFileSync(pidFile(), 'utf8'), 10);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'defib-faults-'));
  await chmod(folder, 0o711);
  line = tether([pidFile()], folder);
  server = await startEmbeddedPostgres({
    dataDir: folder,
    log: () => undefined,
    settings: { fsync: 'off' },
  });
});
afterAll(async () => {
  await server.stop();
  await line.release();
  await rm(folder, { recursive: true, force: true });
});

async function createDatabase(name: string): Promise<string> {
  await onServer(
    server.url,
    async (client) => void (await client.query(`CREATE DATABASE ${name}`)),
  );
  const url = new URL(server.url);
  url.pathname = `/${name}`;
  await migrate(url.href, { queues: true });
  return url.href;
}

const alive = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

async function killPostmaster(): Promise<void> {
  const pid = postmaster();
  process.kill(pid, 'SIGKILL');
  await until('the server is gone', () => !alive(pid));
}

describe.each(backends)('PostgreSQL killed under load on %s', (backend) => {
  let service: TestService;
  beforeAll(async () => {
    const url = await createDatabase(`killed_${backend}`);
    service = await startService(backend, {
      database: { url, drop: () => Promise.resolve() },
      env: { DEFIB_RATE_LIMIT_PER_MINUTE: '0' },
      timings: { claimSeconds: 2, renewMs: 500, sweepMs: 500 },
    });
  });
  afterAll(() => service.stop());

  it('answers every caller, loses no accepted run, and recovers by itself', async () => {
    const { call, started } = service;
    const token = await service.agentToken('builder');
    let answered = 0;
    const beat = async () => {
      const headers = { Prefer: 'wait=5' };
      const answer = await call('POST', '/api/agents/builder/heartbeat', { token, headers });
      if (answer.status === 200) answered += 1;
      return answer;
    };
    const stop = new AbortController();
    const load = beatMany(beat, { callers: 16, until: stop.signal });

    for (let kill = 0; kill < 2; kill += 1) {
      const enough = answered + 100;
      await until('heartbeats are answered', () => answered > enough);
      await until('callers wait', () => started.deps.waiters.count() > 0);
      await killPostmaster();
    }
    const enough = answered + 100;
    await until('heartbeats are answered again', () => answered > enough);
    stop.abort();
    const outcomes = await load;

    const counts = tally(outcomes);
    expect(Object.keys(counts).filter((status) => !['200', '202', '503'].includes(status))).toEqual(
      [],
    );
    expect(counts['200']).toBeGreaterThan(0);
    const unfinished = () =>
      started.deps.db.selectFrom('runs').select('id').where('finished_at', 'is', null).execute();
    await until('every run is finished', async () => (await unfinished()).length === 0, 45_000);
    const runs = await allRuns(call);
    for (const outcome of outcomes) {
      if (outcome?.status === 503) expect(outcome.body.code).toBe('unavailable');
      if (outcome?.status === 202) expect(runs.get(outcome.body.runId)?.finishedAt).toBeTruthy();
      if (outcome?.status === 200) {
        const { runId, ...answer } = outcome.body;
        expect(runs.get(runId)).toMatchObject(answer);
      }
    }
    expect((await call('GET', '/readyz')).status).toBe(200);
  });
});
