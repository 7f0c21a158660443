import { setTimeout as delay } from 'node:timers/promises';
import type { DefibServer } from '../servers/defib.ts';
import { startDefib } from '../servers/defib.ts';
import type { HttpClient } from './http-client.ts';
import { createHttpClient } from './http-client.ts';
import { agentNames, agentOf } from './pass.ts';
import type { Contender, Context, Started } from './types.ts';

const WORKING_MS = 30_000;

export const defibEmbedded = defib('defib-embedded', 'Defib, embedded PostgreSQL, one process', {
  workers: 0,
  env: () => ({}),
});

export const defibPostgres = defib('defib-postgres', 'Defib, PostgreSQL, one process', {
  workers: 0,
  env: ({ databaseUrl }) => ({ DATABASE_URL: databaseUrl }),
});

export const defibRedis = defib('defib-redis', 'Defib, PostgreSQL + Redis, web + worker', {
  workers: 1,
  env: onRedis,
});

export const defibRedisOne = defib('defib-redis-one', 'Defib, PostgreSQL + Redis, one process', {
  workers: 0,
  env: onRedis,
});

type Setup = { workers: number; env: (context: Context) => Record<string, string> };

/** Defib as its users call it: over HTTP, each of 32 agents with its own token. */
function defib(name: string, title: string, { workers, env }: Setup): Contender {
  return {
    name,
    title,
    access: 'HTTP + token',
    start: async (context) => {
      await using started = new AsyncDisposableStack();
      const server = await startDefib({ workers, workDir: context.workDir, env: env(context) });
      started.defer(server.stop);
      const client = createHttpClient(server.port, context.concurrency);
      started.defer(client.close);
      const tokens = await issueTokens(client, server);
      const call: Started['call'] = (i) => heartbeat(client, agentOf(i), tokens.get(agentOf(i)));
      await untilWorking(call);
      const running = started.move();
      return {
        call,
        recorded: () => countRuns(client, server),
        stop: () => running.disposeAsync(),
      };
    },
  };
}

function onRedis({ databaseUrl, redisUrl }: Context): Record<string, string> {
  if (redisUrl === undefined) throw new Error('There is no Redis.');
  // A prefix of its own, as the Redis may be shared with earlier rounds.
  const prefix = `bench-${process.pid}`;
  return { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl, DEFIB_QUEUE_PREFIX: prefix };
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

async function issueTokens(
  client: HttpClient,
  { operatorToken }: DefibServer,
): Promise<Map<string, string>> {
  const tokens = new Map<string, string>();
  for (const agentName of agentNames()) {
    const asked = { scope: 'agent', agentName };
    const issued = await client.send('POST', '/api/tokens', bearer(operatorToken), asked);
    const { token } = issued.body as { token?: string };
    if (issued.status !== 201 || token === undefined) throw unexpected(issued);
    tokens.set(agentName, token);
  }
  return tokens;
}

async function heartbeat(client: HttpClient, agentName: string, token = ''): Promise<void> {
  const path = `/api/agents/${agentName}/heartbeat`;
  const answer = await client.send('POST', path, bearer(token), {});
  const run = answer.body as { status?: string; agentName?: string; runId?: string };
  const right = run.status === 'ok' && run.agentName === agentName && run.runId !== undefined;
  if (answer.status !== 200 || !right) throw unexpected(answer);
}

/** A worker of its own may come up after the API: until then a heartbeat is answered with 202. */
async function untilWorking(call: Started['call']): Promise<void> {
  const deadline = Date.now() + WORKING_MS;
  for (;;) {
    try {
      await call(0);
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await delay(100);
    }
  }
}

/** Finished runs with their steps, counted over the API, page by page. */
async function countRuns(client: HttpClient, { operatorToken }: DefibServer): Promise<number> {
  type Page = { items: { finishedAt: string | null; steps: unknown[] }[]; nextCursor?: string };
  let count = 0;
  let cursor = '';
  do {
    const path = `/api/runs?status=ok&limit=200${cursor && `&cursor=${cursor}`}`;
    const answer = await client.send('GET', path, bearer(operatorToken), undefined);
    if (answer.status !== 200) throw unexpected(answer);
    const page = answer.body as Page;
    count += page.items.filter((run) => run.finishedAt !== null && run.steps.length > 0).length;
    cursor = page.nextCursor ?? '';
  } while (cursor !== '');
  return count;
}

const unexpected = ({ status, body }: { status: number; body: unknown }): Error =>
  new Error(`Defib answered ${status} ${JSON.stringify(body)}`);
