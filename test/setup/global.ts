import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import type { TestProject } from 'vitest/node';
import type { Client } from 'pg';
import { migrate } from '../../src/db/migrate.ts';
import { databaseUrl, onServer } from './database.ts';
import { startRedisServer } from './redisServer.ts';
import { startTestServer } from './server.ts';

declare module 'vitest' {
  interface ProvidedContext {
    database: { adminUrl: string; template: string };
    redisUrl: string | undefined;
    canStartRedis: boolean;
  }
}

/** Starts what all test files share, once per run: PostgreSQL with a migrated template, and Redis. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const canStartRedis = await hasRedisServer();
  const givenRedis = process.env['REDIS_URL'] || undefined;
  if (givenRedis === undefined && !canStartRedis) reportMissingRedis();

  const startsRedis = givenRedis === undefined && canStartRedis;
  const redis = startsRedis ? await startRedisServer() : undefined;
  const server = await startTestServer();
  const template = `defib_test_${randomBytes(5).toString('hex')}`;
  await onServer(server.url, async (client) => {
    await client.query(`CREATE DATABASE ${template}`);
  });
  await migrate(databaseUrl(server.url, template), { queues: true });

  project.provide('database', { adminUrl: server.url, template });
  project.provide('redisUrl', givenRedis ?? redis?.url);
  project.provide('canStartRedis', canStartRedis);

  return async () => {
    await onServer(server.url, (client) => dropAll(client, template));
    await Promise.all([server.stop(), redis?.stop()]);
  };
}

/** Only with a server that was given does it matter: an embedded one goes as a whole. */
async function dropAll(client: Client, template: string): Promise<void> {
  const found = await client.query<{ datname: string }>(
    'SELECT datname FROM pg_database WHERE starts_with(datname, $1)',
    [template],
  );
  for (const { datname } of found.rows) {
    await client.query(`DROP DATABASE IF EXISTS ${datname} WITH (FORCE)`);
  }
}

async function hasRedisServer(): Promise<boolean> {
  return promisify(execFile)('redis-server', ['--version']).then(
    () => true,
    () => false,
  );
}

function reportMissingRedis(): void {
  const missing = 'No Redis: set REDIS_URL or install redis-server.';
  if (process.env['CI'] === 'true') throw new Error(`${missing} CI does not skip tests.`);
  console.warn(`${missing} Tests that need it are skipped.`);
}
