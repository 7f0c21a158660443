import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Pool } from 'pg';
import { superuser } from '../../src/db/embedded/cluster.ts';
import { migrate } from '../../src/db/migrate.ts';
import { type ServiceProcess, startProcess } from '../setup/processes.ts';
import { startRedisServer } from '../setup/redisServer.ts';
import { startTestServer } from '../setup/server.ts';
import { tether } from '../setup/tether.ts';
import { type Call, caller } from '../setup/call.ts';

export type Backend = 'embedded' | 'redis';

/** How to reach the service; plain values, for a thread to take. `work` is the folder of all worktrees. */
export type Place = { url: string; operatorToken: string; databaseUrl: string; work: string };

/** The service in processes of its own, as an operator runs it. */
export type Started = { place: Place; stop(): Promise<void> };

export type Service = { call: Call; database: Pool; work: string };

export function openService({ url, operatorToken, databaseUrl, work }: Place): Service {
  const database = new Pool({ connectionString: databaseUrl, max: 1 });
  // A lost connection shows in the next query.
  database.on('error', () => undefined);
  const plain = caller(url, operatorToken);
  const call: Call = async (method, path, options = {}) => {
    // A row's git commands keep it from seeing that a connection was closed that it holds.
    const headers = { ...options.headers, Connection: 'close' };
    for (;;) {
      const answer = await plain(method, path, { ...options, headers });
      // Too busy, or its database is: it says when to call again, as any caller would.
      const after = Number(answer.headers.get('Retry-After') ?? 0);
      if (answer.status !== 503 || after === 0) return answer;
      await pause(after * 1000);
    }
  };
  return { call, database, work };
}

export const HOST = 'here';

/**
 * `embedded` is `npm start` with nothing given. `redis` is one web process and two workers on a database and a
 * redis-server of their own.
 */
export async function startService(backend: Backend): Promise<Started> {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'defib-random-')));
  // Run by root, PostgreSQL has an account of its own, which must be able to pass.
  chmodSync(root, 0o711);
  const work = join(root, 'work');
  const line = tether([join(root, 'data', 'postgres', 'postmaster.pid')], root);
  mkdirSync(work);
  const operatorToken = `random-cases-${randomBytes(12).toString('hex')}`;
  const env = {
    DEFIB_OPERATOR_TOKEN: operatorToken,
    DEFIB_HOSTNAME: HOST,
    DEFIB_DATA_DIR: join(root, 'data'),
    DEFIB_WORKTREE_ROOTS: work,
    PORT: '0',
  };
  const started = await (backend === 'embedded' ? startEmbedded(env) : startScaledOut(env));
  const { url, databaseUrl } = started;
  return {
    place: { url, operatorToken, databaseUrl, work },
    stop: async () => {
      for (const each of started.processes) await end(each);
      await started.stop();
      await line.release();
      rmSync(root, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

type Running = {
  url: string;
  databaseUrl: string;
  processes: ServiceProcess[];
  stop(): Promise<void>;
};
type Environment = Record<string, string> & { DEFIB_DATA_DIR: string };

async function startEmbedded(env: Environment): Promise<Running> {
  const main = await startProcess('main', env);
  const file = join(env.DEFIB_DATA_DIR, 'postgres', 'defib.json');
  const { password, port } = JSON.parse(readFileSync(file, 'utf8'));
  return {
    url: main.url,
    databaseUrl: `postgres://${superuser}:${password}@127.0.0.1:${port}/defib`,
    processes: [main],
    stop: async () => undefined,
  };
}

async function startScaledOut(env: Environment): Promise<Running> {
  const [server, redis] = await Promise.all([startTestServer(), startRedisServer()]);
  await migrate(server.url, { queues: false });
  const shared = { ...env, DATABASE_URL: server.url, REDIS_URL: redis.url };
  const web = await startProcess('web', shared);
  const worker = () => startProcess('worker', { ...shared, DEFIB_PUBLIC_URL: web.url });
  return {
    url: web.url,
    databaseUrl: server.url,
    processes: [web, ...(await Promise.all([worker(), worker()]))],
    stop: async () => {
      await redis.stop();
      await server.stop();
    },
  };
}

/** As a deploy does: it drains, and is killed only where it does not end. */
async function end(each: ServiceProcess): Promise<void> {
  const timer = setTimeout(() => each.send('SIGKILL'), 60_000);
  each.send('SIGTERM');
  await each.exited;
  clearTimeout(timer);
  await each.kill();
}
