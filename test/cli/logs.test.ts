import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pickPort } from '../../src/db/embedded/port.ts';
import { createTestDatabase, type TestDatabase } from '../setup/database.ts';
import { defib, operatorOf, type RunningDefib, startDefib } from '../setup/defib.ts';
import { startService, type TestService } from '../setup/service.ts';
import { until } from '../setup/until.ts';

let database: TestDatabase;
let service: TestService;
let port: string;
const running: RunningDefib[] = [];

const start = async (worker = true) => {
  // A restart keeps address and token.
  const env = { PORT: port, DEFIB_OPERATOR_TOKEN: 'operator-of-the-logs' };
  service = await startService('postgres', { database, env, worker });
};

beforeAll(async () => {
  database = await createTestDatabase();
  port = String(await pickPort(undefined));
  await start();
  for (const agent of ['lister', 'walker', 'sleeper', 'passer-by']) await service.agentToken(agent);
});
afterAll(async () => {
  for (const one of running) await one.stop();
  await service.stop();
  await database.drop();
});

const follow = (...args: string[]): RunningDefib => {
  const one = startDefib(['logs', '--follow', '--json', ...args], { env: operatorOf(service) });
  running.push(one);
  return one;
};

/** A process starts, and a run ends, a while later on a busy machine. */
const soon = <T>(what: string, condition: () => Promise<T> | T) => until(what, condition);

/** Ids of the runs that were printed, in order. */
const printed = (one: RunningDefib): string[] =>
  one
    .stdout()
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line).id);

async function beat(agent: string, body: object = {}): Promise<string> {
  const headers = { Prefer: 'respond-async' };
  const answer = await service.call('POST', `/api/agents/${agent}/heartbeat`, { body, headers });
  return answer.body.runId;
}

describe('defib logs', () => {
  it('lists the newest runs', async () => {
    const ids = [await beat('lister'), await beat('lister'), await beat('lister')];
    const options = { env: operatorOf(service) };
    const { stdout } = await defib(['logs', 'lister', '-n', '2', '--json'], options);
    const listed = JSON.parse(stdout).items.map(({ id }: { id: string }) => id);
    expect(listed).toEqual([ids[2], ids[1]]);
    expect((await defib(['logs', 'lister'], options)).stdout).toContain(ids[0]);
  });
});

describe('defib logs --follow', { timeout: 180_000 }, () => {
  it('begins with the last ones, and gives each run once, when it has ended', async () => {
    const before = [await beat('walker'), await beat('walker'), await beat('walker')];
    await soon('they have ended', async () => {
      const { body } = await service.call('GET', '/api/runs?agentName=walker&status=ok');
      return body.items.length === 3;
    });
    const log = follow('walker', '-n', '2');
    await soon('the last two are there', () => printed(log).length === 2);
    const after = [await beat('walker'), await beat('walker')];
    await beat('passer-by');
    await soon('the new ones are there', () => printed(log).length === 4);
    expect(printed(log).slice(0, 2)).toEqual(before.slice(1));
    expect(printed(log).slice(2).sort()).toEqual(after.sort());
  });

  it('gives only the runs of a session', async () => {
    const body = { objective: 'walk on' };
    const { body: started } = await service.call('POST', '/api/agents/walker/sessions', { body });
    const sessionId: string = started.session.id;
    const log = follow('--session', sessionId);
    await beat('walker');
    const wanted = await beat('walker', { sessionId });
    await soon('its run is there', () => printed(log).length > 0);
    expect(printed(log)).toEqual([wanted]);
  });

  it('goes on after a restart of the server, with what happened in between', async () => {
    const first = await beat('sleeper');
    const log = follow('sleeper');
    await soon('the first is there', () => printed(log).includes(first));
    await service.stop();
    await soon('it has noticed', () => log.stderr().includes('Waiting for it'));
    // Accepted now, done when workers are there again.
    await start(false);
    const second = await beat('sleeper');
    await soon('it is back', () => log.stderr().includes('answers again'));
    await service.stop();
    await start();
    const third = await beat('sleeper');
    await soon('all are there', () => printed(log).includes(third) && printed(log).length > 2);
    expect(printed(log)).toEqual([first, second, third]);
    // Told once for each time that it was gone.
    expect(log.stderr().match(/Waiting for it/g)?.length).toBeLessThanOrEqual(2);
  });

  it('ends when the token is revoked', async () => {
    const { body } = await service.call('POST', '/api/tokens', { body: { scope: 'operator' } });
    const env = { DEFIB_URL: service.url, DEFIB_TOKEN: body.token };
    const log = startDefib(['logs', '-f', 'walker'], { env });
    running.push(log);
    await soon('it has begun', () => log.stdout() !== '');
    await service.call('DELETE', `/api/tokens/${body.id}`);
    expect(await log.exited).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('unauthorized'),
    });
  });
});
