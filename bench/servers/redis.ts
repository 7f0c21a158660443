import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { freePort, startProcess, waitUntilReady } from './process.ts';

export type RedisServer = { url: string; version: string; stop(): Promise<void> };

/**
 * The Redis at `url`, or one started from the PATH without persistence: what it holds is a
 * dispatcher's state, and no contender's record is kept there but raw BullMQ's.
 * Undefined when there is neither.
 */
export async function startRedis(
  folder: string,
  url: string | undefined,
): Promise<RedisServer | undefined> {
  if (url !== undefined) {
    return { url, version: await versionOf(url), stop: () => Promise.resolve() };
  }
  const dir = join(folder, 'redis');
  await mkdir(dir);
  const port = await freePort();
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', dir, '--save', ''];
  args.push('--appendonly', 'no', '--maxmemory-policy', 'noeviction');
  const server = startProcess('redis-server', args);
  const own = `redis://127.0.0.1:${port}`;
  try {
    await waitUntilReady('Redis', server, async () => (await versionOf(own)) !== '', 10_000);
  } catch {
    await server.stop('SIGTERM', 5_000);
    return undefined;
  }
  return { url: own, version: await versionOf(own), stop: () => server.stop('SIGTERM', 5_000) };
}

async function versionOf(url: string): Promise<string> {
  const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null });
  // Without a listener a refused connection is printed; the caller polls and knows.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return /redis_version:(\S+)/.exec(await client.info('server'))?.[1] ?? '';
  } finally {
    client.disconnect();
  }
}
