import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { TestProject } from 'vitest/node';
import { agentsAreInstalled } from './agents/installed.ts';
import { startRedisServer } from './redisServer.ts';
import { startTestServer } from './server.ts';
import { createTemplate } from './template.ts';

declare module 'vitest' {
  interface ProvidedContext {
    database: { adminUrl: string; template: string };
    redis: { url: string | undefined; canStart: boolean };
  }
}

/** Starts what all test files share, once per run: PostgreSQL with a migrated template, and Redis. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  if (!agentsAreInstalled()) {
    reportMissing('The coding agents are not installed: run `npm run agents`.');
  }
  const redis = await openRedis();
  const server = await startTestServer();
  const template = await createTemplate(server.url);

  project.provide('database', { adminUrl: server.url, template: template.name });
  project.provide('redis', { url: redis.url, canStart: redis.canStart });

  return async () => {
    await template.drop();
    await Promise.all([server.stop(), redis.stop()]);
  };
}

type TestRedis = { url: string | undefined; canStart: boolean; stop(): Promise<void> };

/** `REDIS_URL` if it is set, else a server of the run's own, else none. */
async function openRedis(): Promise<TestRedis> {
  const given = process.env['REDIS_URL'] || undefined;
  const canStart = await promisify(execFile)('redis-server', ['--version']).then(
    () => true,
    () => false,
  );
  if (given === undefined && canStart) return { ...(await startRedisServer()), canStart };
  if (given === undefined) reportMissing('No Redis: set REDIS_URL or install redis-server.');
  return { url: given, canStart, stop: async () => undefined };
}

function reportMissing(missing: string): void {
  if (process.env['CI'] === 'true') throw new Error(`${missing} Under CI=true no test is skipped.`);
  console.warn(`${missing} Tests that need this are skipped.`);
}
