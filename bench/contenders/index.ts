import type { Contender } from './types.ts';
import { overHttp } from './over-http.ts';

type Entry = { redis: boolean; load: () => Promise<Contender> };

const entry = (load: () => Promise<Contender>, redis = false): Entry => ({ redis, load });

// Loaded only by the process that measures one, so that no library's globals meet another's.
const dbos = async () => (await import('./dbos.ts')).dbos;
const dbosQueue = async () => (await import('./dbos.ts')).dbosQueue;
const graphile = async () => (await import('./graphile-worker.ts')).graphileWorker;
const pgBoss = async () => (await import('./pg-boss.ts')).pgBoss;

const defib = () => import('./defib.ts');

const entries: Record<string, Entry> = {
  'defib-embedded': entry(async () => (await defib()).defibEmbedded),
  'defib-postgres': entry(async () => (await defib()).defibPostgres),
  'defib-redis': entry(async () => (await defib()).defibRedis, true),
  'defib-redis-one': entry(async () => (await defib()).defibRedisOne, true),
  dbos: entry(dbos),
  'dbos-http': entry(async () => overHttp(await dbos())),
  'dbos-queue': entry(dbosQueue),
  'graphile-worker': entry(graphile),
  'graphile-worker-http': entry(async () => overHttp(await graphile())),
  'pg-boss': entry(pgBoss),
  'pg-boss-http': entry(async () => overHttp(await pgBoss())),
  restate: entry(async () => (await import('./restate.ts')).restate),
  'bullmq-redis': entry(async () => (await import('./bullmq.ts')).bullmqRedis, true),
  'bullmq-postgres': entry(async () => (await import('./bullmq.ts')).bullmqPostgres),
  insert: entry(async () => (await import('./insert.ts')).insert),
};

export const contenderNames = (): string[] => Object.keys(entries);

export const needsRedis = (name: string): boolean => entries[name]?.redis ?? false;

export async function loadContender(name: string): Promise<Contender> {
  const found = entries[name];
  if (found === undefined) {
    throw new Error(`No contender "${name}". There are: ${contenderNames().join(', ')}.`);
  }
  return found.load();
}
