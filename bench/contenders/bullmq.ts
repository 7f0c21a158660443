import { Queue, Worker, createPostgresBackend } from 'bullmq';
import type { Job } from 'bullmq';
import { expectAnswer, passOf, step } from './pass.ts';
import type { Contender, Pass, PassResult, Started } from './types.ts';
import { createWaiters } from './waiters.ts';

const QUEUE = 'passes';

/** Raw BullMQ on a Redis without persistence: no durable record at all. A limit, not a peer. */
export const bullmqRedis: Contender = {
  name: 'bullmq-redis',
  title: 'raw BullMQ on Redis (not durable)',
  access: 'in process',
  start: (context) => {
    if (context.redisUrl === undefined) throw new Error('There is no Redis.');
    const prefix = `bench-${process.pid}`;
    const settings = { prefix, connection: { url: context.redisUrl, maxRetriesPerRequest: null } };
    return run({
      queue: new Queue(QUEUE, settings),
      work: (processor) =>
        new Worker(QUEUE, processor, { ...settings, concurrency: context.concurrency }),
    });
  },
};

/** Raw BullMQ on PostgreSQL: the job row is the record of request and result; no step record. */
export const bullmqPostgres: Contender = {
  name: 'bullmq-postgres',
  title: 'raw BullMQ on PostgreSQL',
  access: 'in process',
  start: async (context) => {
    const connection = { connectionString: context.databaseUrl, max: context.concurrency };
    const migrating = { connection: { ...connection, migrate: true } };
    const queue = new Queue(QUEUE, migrating, createPostgresBackend);
    await queue.waitUntilReady();
    return run({
      queue,
      work: (processor) => {
        const settings = { connection, concurrency: context.concurrency };
        return new Worker(QUEUE, processor, settings, createPostgresBackend);
      },
    });
  },
};

type Processor = (job: { data: Pass }) => Promise<PassResult>;
type Parts = {
  queue: {
    add(name: string, data: Pass, options: { removeOnComplete: boolean }): Promise<unknown>;
    getCompletedCount(): Promise<number>;
    obliterate(options: { force: boolean }): Promise<void>;
    close(): Promise<void>;
  };
  work(processor: Processor): {
    on(event: 'completed', listener: (job: Job, result: PassResult) => void): unknown;
    on(event: 'error', listener: (error: Error) => void): unknown;
    waitUntilReady(): Promise<unknown>;
    close(): Promise<void>;
  };
};

/**
 * The caller is woken by the worker's own `completed` event, which follows the completed write.
 * `QueueEvents` would cross processes, but loses events on the PostgreSQL backend.
 */
async function run({ queue, work }: Parts): Promise<Started> {
  const waiters = createWaiters<PassResult>();
  const worker = work(({ data }) => Promise.resolve({ status: 'ok', ...step(data) }));
  worker.on('completed', (job, result) => waiters.settle(String(job.data.tick), result));
  worker.on('error', (error) => process.stderr.write(`${error.message}\n`));
  await worker.waitUntilReady();
  return {
    call: async (i) => {
      const answer = waiters.expect(String(i));
      await queue.add('pass', passOf(i), { removeOnComplete: false });
      return expectAnswer(await answer, i);
    },
    recorded: () => queue.getCompletedCount(),
    stop: async () => {
      await worker.close();
      await queue.obliterate({ force: true });
      await queue.close();
    },
  };
}
