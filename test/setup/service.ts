import { randomBytes } from 'node:crypto';
import { loadConfig } from '../../src/config.ts';
import { createLog } from '../../src/log.ts';
import { issueToken } from '../../src/services/tokens/issue.ts';
import { start, type Started, type Timings } from '../../src/start.ts';
import { type Call, caller } from './call.ts';
import { createTestDatabase, type TestDatabase } from './database.ts';
import { canStartRedis, redisPrefix, redisUrl } from './redis.ts';

export { type Answer, type Call, caller, type Json } from './call.ts';

export type BackendKind = 'postgres' | 'redis';

/** Both queue backends; without a Redis, that one is left out (and the run has said so). */
export const backends: BackendKind[] =
  redisUrl() === undefined && !canStartRedis() ? ['postgres'] : ['postgres', 'redis'];

/** The environment of a service on this backend, all of its own: database, key prefix, port. */
export function serviceEnv(backend: BackendKind, databaseUrl: string): Record<string, string> {
  return {
    DATABASE_URL: databaseUrl,
    DEFIB_OPERATOR_TOKEN: `test-operator-${randomBytes(12).toString('hex')}`,
    DEFIB_LOG_LEVEL: process.env['DEFIB_TEST_LOG'] ?? 'silent',
    DEFIB_QUEUE_PREFIX: redisPrefix(),
    PORT: '0',
    DEFIB_RESUME_BACKOFF_SECONDS: '0',
    ...(backend === 'redis' && { REDIS_URL: redisUrl() ?? '' }),
  };
}

export type TestService = {
  url: string;
  env: Record<string, string>;
  database: TestDatabase;
  started: Started;
  /** Calls over HTTP, as the operator unless another token (or null for none) is given. */
  call: Call;
  agentToken(agentName: string): Promise<string>;
  stop(): Promise<void>;
};

export type ServiceOptions = {
  env?: Record<string, string>;
  web?: boolean;
  worker?: boolean;
  timings?: Timings;
  /** Another service's database, to share it; who made it drops it. */
  database?: TestDatabase;
};

/** The real service, in this process: API and workers, on a database of its own unless one is given. */
export async function startService(
  backend: BackendKind,
  options: ServiceOptions = {},
): Promise<TestService> {
  const database = options.database ?? (await createTestDatabase());
  const env = { ...serviceEnv(backend, database.url), ...options.env };
  const config = loadConfig(env);
  const started = await start({
    config,
    log: createLog({ level: config.logLevel, service: 'test' }),
    databaseUrl: config.databaseUrl ?? database.url,
    web: options.web ?? true,
    worker: options.worker ?? true,
    ...(options.timings && { timings: options.timings }),
  });
  const url = started.http?.url ?? '';
  return {
    url,
    env,
    database,
    started,
    call: caller(url, config.operatorToken ?? ''),
    agentToken: async (agentName) =>
      (await issueToken(started.deps.db, { scope: 'agent', agentName })).token,
    stop: async () => {
      await started.stop();
      if (!options.database) await database.drop();
    },
  };
}
