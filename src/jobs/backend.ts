import { type ConnectionOptions, createPostgresBackend, type Job, Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { openPool, STATEMENT_MS } from '../db/connect.ts';
import { QUEUE_SCHEMA } from '../db/migrate.ts';
import { AppError } from '../errors.ts';
import { withTimeout } from '../with-timeout.ts';

export type Processor = (job: Job, token?: string, signal?: AbortSignal) => Promise<unknown>;

export type WorkerSettings = { concurrency: number };

/** How soon workers look for jobs again after the queue's server was away; callers may wait. */
const RETRY_MS = 1000;

/**
 * Where BullMQ keeps its queues. Everything above this file is the same for both. A queue is only a
 * dispatcher here: it may lose everything, and the sweep rebuilds it from Postgres.
 */
export type QueueBackend = {
  kind: 'postgres' | 'redis';
  openQueue(name: string): Queue;
  openWorker(name: string, processor: Processor, settings: WorkerSettings): Worker;
  /** Whether finished jobs must be cleaned by us, because the backend's own retention is unsafe. */
  cleansByHand: boolean;
  /** Resolves if the backend answers. */
  ping(): Promise<void>;
  close(): Promise<void>;
};

export type BackendOptions = {
  databaseUrl: string;
  redisUrl: string | undefined;
  prefix: string;
  /** Queues that workers of this process serve; each holds a connection that listens. */
  workers: number;
  onError: (error: Error) => void;
};

export async function openQueueBackend(options: BackendOptions): Promise<QueueBackend> {
  return options.redisUrl === undefined
    ? openPostgresBackend(options)
    : await openRedisBackend({ ...options, redisUrl: options.redisUrl });
}

function openPostgresBackend(options: BackendOptions): QueueBackend {
  const pool = openPool({
    url: options.databaseUrl,
    max: 6 + options.workers,
    applicationName: 'defib-queue',
    session: true,
    statementMs: STATEMENT_MS,
    // What a crash of the server could lose here, the sweep rebuilds: no need to wait for the disk.
    settings: { search_path: QUEUE_SCHEMA, synchronous_commit: 'off' },
    onError: options.onError,
  });
  // Every queue and every worker listens for its errors: many by design, and no leak.
  pool.setMaxListeners(0);
  // Count- and age-based retention run inside each completion: by count they deadlock under
  // load, and both make every job pay. The housekeeping job cleans instead.
  const keep = { removeOnComplete: false, removeOnFail: false };
  return {
    kind: 'postgres',
    cleansByHand: true,
    // The high-level classes behave alike on every backend; only their type parameters differ.
    openQueue: (name) =>
      new Queue(
        name,
        { connection: pool, defaultJobOptions: keep },
        createPostgresBackend,
      ) as unknown as Queue,
    openWorker: (name, processor, settings) =>
      new Worker(
        name,
        processor,
        { connection: pool, runRetryDelay: RETRY_MS, ...settings },
        createPostgresBackend,
      ) as unknown as Worker,
    ping: async () => void (await pool.query('SELECT 1 FROM migration LIMIT 1')),
    close: () => pool.end(),
  };
}

async function openRedisBackend(
  options: BackendOptions & { redisUrl: string },
): Promise<QueueBackend> {
  // Producers fail fast: a caller is waiting, and the sweep enqueues later what could not be now.
  const producer = connectRedis(options, { enableOfflineQueue: false, maxRetriesPerRequest: 1 });
  // Workers wait for as long as it takes.
  const consumer = connectRedis(options, { maxRetriesPerRequest: null });
  const close = () => {
    producer.disconnect();
    consumer.disconnect();
    return Promise.resolve();
  };
  await refuseEvictingRedis(consumer).catch(async (error: unknown) => {
    await close();
    throw error;
  });
  const shared = { prefix: options.prefix };
  const keep = { age: 3600, count: 1000 };
  return {
    kind: 'redis',
    cleansByHand: false,
    openQueue: (name) =>
      new Queue(name, {
        connection: producer as ConnectionOptions,
        defaultJobOptions: { removeOnComplete: keep, removeOnFail: keep },
        ...shared,
      }),
    openWorker: (name, processor, settings) =>
      new Worker(name, processor, {
        connection: consumer as ConnectionOptions,
        runRetryDelay: RETRY_MS,
        ...settings,
        ...shared,
      }),
    ping: async () => void (await producer.ping()),
    close,
  };
}

function connectRedis(
  { redisUrl, onError }: { redisUrl: string; onError: (error: Error) => void },
  settings: { enableOfflineQueue?: boolean; maxRetriesPerRequest: number | null },
): Redis {
  const redis = new Redis(redisUrl, {
    ...settings,
    connectTimeout: 5000,
    retryStrategy: (attempt) => Math.min(attempt * 100, 2000),
  });
  redis.on('error', onError);
  return redis;
}

/** An evicting Redis drops queue entries in silence, so refuse to start on one. */
async function refuseEvictingRedis(redis: Redis): Promise<void> {
  const memory = await withTimeout(redis.info('memory'), 10_000).catch((error: unknown) => {
    const cause = error instanceof Error ? error.message : String(error);
    throw new AppError(
      'unavailable',
      `Redis at REDIS_URL cannot be used: ${cause}. Check that it runs and that the address is right.`,
      { transient: true, cause: error },
    );
  });
  const policy = /^maxmemory_policy:(\S+)/m.exec(memory)?.[1];
  if (policy !== undefined && policy !== 'noeviction') {
    throw new AppError(
      'unavailable',
      `Redis at REDIS_URL has maxmemory-policy "${policy}" and would drop queued jobs. ` +
        'Set it to noeviction: redis-cli CONFIG SET maxmemory-policy noeviction, and in redis.conf.',
    );
  }
}
