import { DBOS } from '@dbos-inc/dbos-sdk';
import { Client } from 'pg';
import { expectAnswer, passOf, step } from './pass.ts';
import type { Contender, Context, Pass, PassResult, Started } from './types.ts';

const QUEUE = 'passes';
/** Both loops of the queue path poll, by default once a second. */
const POLL_MS = 10;

/** A workflow of one step, started in the calling process: recorded first, but through no queue. */
export const dbos: Contender = {
  name: 'dbos',
  title: 'DBOS, workflow started in the calling process',
  access: 'in process',
  start: (context) =>
    launch(context, (run) => async (i) => {
      const handle = await DBOS.startWorkflow(run)(passOf(i));
      return expectAnswer(await handle.getResult(), i);
    }),
};

/** The same workflow through DBOS's durable queue: recorded, dispatched by a poll, awaited by a poll. */
export const dbosQueue: Contender = {
  name: 'dbos-queue',
  title: `DBOS, through its queue (both polls at ${POLL_MS} ms)`,
  access: 'in process',
  start: (context) =>
    launch(context, (run) => async (i) => {
      const handle = await DBOS.startWorkflow(run, { queueName: QUEUE })(passOf(i));
      return expectAnswer(await handle.getResult({ pollingIntervalMs: POLL_MS }), i);
    }),
};

type Workflow = (pass: Pass) => Promise<PassResult>;

async function launch(
  { databaseUrl, concurrency }: Context,
  caller: (run: Workflow) => Started['call'],
): Promise<Started> {
  DBOS.setConfig({
    name: 'bench',
    systemDatabaseUrl: databaseUrl,
    systemDatabasePoolSize: concurrency,
    logLevel: 'error',
  });
  const run = DBOS.registerWorkflow(
    async (pass: Pass): Promise<PassResult> => {
      const { tick } = await DBOS.runStep(() => Promise.resolve(step(pass)), { name: 'step' });
      return { status: 'ok', tick };
    },
    { name: 'pass' },
  );
  await DBOS.launch();
  await DBOS.registerQueue(QUEUE, { minPollingIntervalMs: POLL_MS });
  return { call: caller(run), recorded: () => succeeded(databaseUrl), stop: () => DBOS.shutdown() };
}

async function succeeded(databaseUrl: string): Promise<number> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  const { rows } = await client.query<{ n: number }>(
    `SELECT count(*)::int AS n FROM dbos.workflow_status WHERE status = 'SUCCESS'`,
  );
  await client.end();
  return rows[0]?.n ?? 0;
}
