import { randomUUID } from 'node:crypto';
import { Logger, makeWorkerUtils, run } from 'graphile-worker';
import type { Task } from 'graphile-worker';
import { Pool } from 'pg';
import { expectAnswer, passOf, step } from './pass.ts';
import { createResults } from './results.ts';
import type { Payload } from './results.ts';
import type { Contender, Context, PassResult } from './types.ts';
import { createWaiters } from './waiters.ts';

/** The job is the recorded request; its task writes the result row and then tells the caller. */
export const graphileWorker: Contender = {
  name: 'graphile-worker',
  title: 'graphile-worker, result row written by the task',
  access: 'in process',
  start: async (context) => {
    const pool = new Pool({ connectionString: context.databaseUrl, max: context.concurrency });
    const results = await createResults(pool);
    const waiters = createWaiters<PassResult>();
    const runner = await startRunner(context, async (payload) => {
      const job = payload as Payload;
      waiters.settle(job.id, await results.record(job, step(job.pass)));
    });
    return {
      call: async (i) => {
        const payload: Payload = { id: randomUUID(), pass: passOf(i) };
        const answer = waiters.expect(payload.id);
        await pool.query({ ...enqueue, values: [payload] });
        return expectAnswer(await answer, i);
      },
      recorded: results.count,
      stop: async () => {
        await runner.stop();
        await pool.end();
      },
    };
  },
};

const enqueue = { name: 'enqueue', text: `SELECT FROM graphile_worker.add_job('pass', $1::json)` };

async function startRunner({ databaseUrl, concurrency }: Context, pass: Task) {
  const connection = {
    connectionString: databaseUrl,
    logger: new Logger(() => () => undefined),
  };
  const utils = await makeWorkerUtils(connection);
  await utils.migrate();
  await utils.release();
  return run({
    ...connection,
    concurrency,
    maxPoolSize: concurrency + 2,
    noHandleSignals: true,
    // Fetching and completing in batches was the fastest of the settings tried, at 1 and at 32.
    preset: { worker: { localQueue: { size: concurrency }, completeJobBatchDelay: 0 } },
    taskList: { pass },
  });
}
