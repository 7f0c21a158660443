import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../setup/database.ts';
import { connectHttp, connectStdio } from '../setup/mcp.ts';
import { type ServiceProcess, startProcess } from '../setup/processes.ts';
import { caller, serviceEnv } from '../setup/service.ts';

/** Two web processes and a worker, as behind a balancer. */
let database: TestDatabase;
let processes: ServiceProcess[] = [];
let token: string;
let webs: ServiceProcess[];
beforeAll(async () => {
  database = await createTestDatabase();
  const env = serviceEnv('postgres', database.url);
  processes = await Promise.all(
    (['web', 'web', 'worker'] as const).map((entry) => startProcess(entry, env)),
  );
  webs = processes.slice(0, 2);
  const operator = caller(webs[0]!.url, env['DEFIB_OPERATOR_TOKEN']!);
  const body = { scope: 'agent', agentName: 'builder' };
  ({ token } = (await operator('POST', '/api/tokens', { body })).body);
});
afterAll(async () => {
  await Promise.all(processes.map(({ kill }) => kill()));
  await database.drop();
});

describe('two web processes', () => {
  it.each(['legacy', 'auto'] as const)(
    'answer one client by turns, request by request (%s)',
    async (era) => {
      const urls = webs.map(({ url }) => url);
      const { client, call, close } = await connectHttp(urls, token, era);
      try {
        const { data } = await call('start_session', { objective: 'by turns' });
        const { session } = data;
        for (let n = 1; n <= 4; n += 1) {
          expect((await call('heartbeat', { session, turn: n })).data).toMatchObject({
            status: 'running',
          });
          const { data: saved } = await call('checkpoint', { session, done: [`step ${n}`] });
          expect(saved).toMatchObject({ number: n });
          // Three requests a round: each tool meets both processes.
          expect(await call('continuation', { session })).toMatchObject({ isError: false });
        }
        expect((await call('heartbeat')).data).toMatchObject({ status: 'ok' });
        const { tools } = await client.listTools();
        expect(tools).toHaveLength(6);
        const { data: ended } = await call('finish', { session, outcome: 'completed' });
        expect(ended).toMatchObject({ status: 'completed' });
      } finally {
        await close();
      }
    },
  );

  it('are reached over stdio', async () => {
    const env = { DEFIB_URL: webs[1]!.url, DEFIB_TOKEN: token, DEFIB_AGENT: 'builder' };
    const { call, close, stderr } = await connectStdio(env);
    try {
      await call('start_session', { objective: 'real processes' });
      expect((await call('heartbeat')).data).toMatchObject({ status: 'running' });
      expect((await call('finish', { outcome: 'completed' })).data).toMatchObject({
        status: 'completed',
      });
      expect(stderr()).toBe('');
    } finally {
      await close();
    }
  });
});
