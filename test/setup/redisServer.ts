import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { pickPort } from '../../src/db/embedded/port.ts';
import { tether } from './tether.ts';

export type RedisServer = {
  url: string;
  /** Removes all keys, as a restart without persistence or an operator's FLUSHALL would. */
  flush(): Promise<void>;
  /** Kill -9; the port stays closed until `start`. */
  kill(): Promise<void>;
  /** Starts it again on the same port, empty. */
  start(): Promise<void>;
  stop(): Promise<void>;
};

/** A private redis-server on a free port of 127.0.0.1 that keeps nothing on disk. */
export async function startRedisServer(): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), 'defib-redis-'));
  const pidFile = join(folder, 'redis.pid');
  const line = tether([pidFile], folder);
  const port = await pickPort(undefined);
  const url = `redis://127.0.0.1:${port}`;
  let server = await launch(port, folder);

  const end = async (signal: NodeJS.Signals) => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    const exited = once(server, 'exit');
    server.ref();
    server.kill(signal);
    await exited;
  };
  const start = async () => {
    await writeFile(pidFile, `${server.pid}\n`);
    await answering(url);
  };
  await start();
  return {
    url,
    flush: () => withClient(url, (client) => client.flushall()),
    kill: () => end('SIGKILL'),
    async start() {
      server = await launch(port, folder);
      await start();
    },
    async stop() {
      await end('SIGTERM');
      await line.release();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function launch(port: number, folder: string) {
  const settings = { bind: '127.0.0.1', port, dir: folder, save: '', appendonly: 'no' };
  const flags = Object.entries({ ...settings, 'maxmemory-policy': 'noeviction' });
  const server = spawn(
    'redis-server',
    flags.flatMap(([name, value]) => [`--${name}`, String(value)]),
    { stdio: 'ignore' },
  );
  await once(server, 'spawn');
  server.unref();
  return server;
}

async function withClient(url: string, use: (client: Redis) => Promise<unknown>): Promise<void> {
  const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await use(client);
  } finally {
    client.disconnect();
  }
}

async function answering(url: string): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (true) {
    try {
      return await withClient(url, (client) => client.ping());
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await sleep(10);
    }
  }
}
