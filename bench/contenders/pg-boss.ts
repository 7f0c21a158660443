import { randomUUID } from 'node:crypto';
import { Pool } from 'pg';
import { PgBoss } from 'pg-boss';
import { expectAnswer, passOf, step } from './pass.ts';
import { createResults } from './results.ts';
import type { Payload } from './results.ts';
import type { Contender, Context, PassResult } from './types.ts';
import { createWaiters } from './waiters.ts';

const QUEUE = 'passes';

/** The job is the recorded request; its handler writes the result row and then tells the caller. */
export const pgBoss: Contender = {
  name: 'pg-boss',
  title: 'pg-boss, result row written by the handler',
  access: 'in process',
  start: async (context) => {
    const pool = new Pool({ connectionString: context.databaseUrl, max: context.concurrency });
    const results = await createResults(pool);
    const waiters = createWaiters<PassResult>();
    const boss = await startBoss(context, async (job) => {
      waiters.settle(job.id, await results.record(job, step(job.pass)));
    });
    return {
      call: async (i) => {
        const payload: Payload = { id: randomUUID(), pass: passOf(i) };
        const answer = waiters.expect(payload.id);
        await boss.send(QUEUE, payload);
        return expectAnswer(await answer, i);
      },
      recorded: results.count,
      stop: async () => {
        await boss.stop({ graceful: true, timeout: 5_000 });
        await pool.end();
      },
    };
  },
};

async function startBoss(
  { databaseUrl, concurrency }: Context,
  handle: (payload: Payload) => Promise<void>,
): Promise<PgBoss> {
  const boss = new PgBoss({
    connectionString: databaseUrl,
    max: concurrency,
    useListenNotify: true,
  });
  boss.on('error', (error) => process.stderr.write(`${error.message}\n`));
  await boss.start();
  await boss.createQueue(QUEUE, { notify: true });
  // Every notification wakes every worker: a few that fetch batches beat one for each caller.
  const options = { localConcurrency: 2, batchSize: concurrency / 2, burstWhenBatchFull: true };
  await boss.work<Payload>(QUEUE, options, async (jobs) => {
    await Promise.all(jobs.map(({ data }) => handle(data)));
  });
  return boss;
}
