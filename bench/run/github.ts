/** `npm run github`: requests to GitHub per heartbeat while the number of agents grows. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { LevelFigures } from '../github/level.ts';
import { measureLevel } from '../github/level.ts';
import { growsWithAgents, toMarkdown } from '../github/report.ts';
import type { SharedServers } from '../servers/shared.ts';
import { startShared } from '../servers/shared.ts';
import { interruptSignal } from './interrupt.ts';

const REPOS = 20;
const AGENTS = [1, 10, 100, 1_000];
const full = { freshnessSeconds: 10, windows: 3 };
const quick = { freshnessSeconds: 3, windows: 1 };

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, json: { type: 'string' } },
});
const plan = values.quick ? quick : full;
const interrupt = interruptSignal();

async function measureAgents(
  { folder, postgres, redis }: SharedServers,
  agents: number,
): Promise<LevelFigures> {
  const key = `github-${agents}`;
  const workDir = join(folder, key);
  await mkdir(workDir, { mode: 0o755 });
  const env = {
    DATABASE_URL: await postgres.createDatabase(key),
    ...(redis && { REDIS_URL: redis.url, DEFIB_QUEUE_PREFIX: `bench-${process.pid}-${agents}` }),
  };
  // Where there is Redis: two workers, so that what they share is not one process's memory.
  const workers = redis ? 2 : 0;
  return measureLevel({ ...plan, agents, repos: REPOS, workers, workDir, interrupt, env });
}

async function measureAll(): Promise<LevelFigures[]> {
  await using resources = new AsyncDisposableStack();
  const servers = await startShared(resources);
  const levels: LevelFigures[] = [];
  for (const agents of AGENTS) {
    if (interrupt.aborted) break;
    console.error(`${agents} agents on ${REPOS} repositories`);
    levels.push(await measureAgents(servers, agents));
  }
  return levels;
}

async function measureOrInterrupt(): Promise<LevelFigures[]> {
  try {
    return await measureAll();
  } catch (error) {
    if (interrupt.aborted) return [];
    throw error;
  }
}

const levels = await measureOrInterrupt();
if (interrupt.aborted) {
  console.error('Interrupted: everything that was started is stopped.');
  process.exit(130);
}
console.log(
  `${REPOS} repositories, each tracked by every agent; freshness window of ` +
    `${plan.freshnessSeconds} s, ${plan.windows} window(s), 2 heartbeats per agent and window.\n`,
);
console.log(toMarkdown(levels));
if (values.json !== undefined) await writeFile(values.json, JSON.stringify(levels, undefined, 2));
if (growsWithAgents(levels, REPOS)) {
  console.error(`More requests than ${REPOS} repositories need: they grow with agents.`);
  process.exitCode = 1;
}
