import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PostgresServer } from './postgres.ts';
import { startPostgres } from './postgres.ts';
import type { RedisServer } from './redis.ts';
import { startRedis } from './redis.ts';

export type SharedServers = {
  /** A temporary folder for everything of this run. */
  folder: string;
  postgres: PostgresServer;
  /** REDIS_URL's, or one from the PATH; undefined when there is neither. */
  redis: RedisServer | undefined;
};

/** The servers that a whole run shares. Stopping and removing them is left with `resources`. */
export async function startShared(resources: AsyncDisposableStack): Promise<SharedServers> {
  const folder = await mkdtemp(join(tmpdir(), 'defib-bench-'));
  resources.defer(() => rm(folder, { recursive: true, force: true }));
  // PostgreSQL, started by root, runs as another account and must get in.
  await chmod(folder, 0o755);
  const postgres = await startPostgres(folder);
  resources.defer(postgres.stop);
  const redis = await startRedis(folder, process.env['REDIS_URL']);
  resources.defer(async () => redis?.stop());
  return { folder, postgres, redis };
}
