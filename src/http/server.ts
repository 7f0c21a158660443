import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createAdaptorServer } from '@hono/node-server';
import type { OpenAPIHono } from '@hono/zod-openapi';
import { Redis } from 'ioredis';
import type { Deps } from '../deps.ts';
import { AppError } from '../errors.ts';
import { createPressure } from '../services/runs/pressure.ts';
import { countQueuedRuns } from '../services/runs/read.ts';
import { createRunTally } from '../services/runs/tally.ts';
import { createAuthenticate } from '../services/tokens/authenticate.ts';
import { createSignInFailures } from '../services/tokens/failures.ts';
import { createTokenUses } from '../services/tokens/uses.ts';
import { withTimeout } from '../with-timeout.ts';
import { createApp } from './app.ts';
import { createSignIn } from './auth.ts';
import { createDrain, type Drain } from './drain.ts';
import type { AppEnv } from './env.ts';
import { createMetrics, type Metrics } from './metrics.ts';

/** For how long a token is believed without asking the database: the bound on revocation. */
const TOKEN_CACHE_MS = 2000;
const TOKEN_USES_MS = 5000;
const LAST_FLUSH_MS = 1000;
/** A Redis that hangs must not hang the callers: they are counted by the process instead. */
const RATE_LIMIT_TIMEOUT_MS = 500;
const PRESSURE_MS = 500;
/** How long after its acceptance a run is first counted. */
const SETTLE_MS = 10_000;

export type HttpServer = {
  /** Where it listens, e.g. `http://127.0.0.1:4700`. */
  url: string;
  app: OpenAPIHono<AppEnv>;
  /**
   * Tells new callers to come back; lets those that are held open have their answer until `deadlineMs`,
   * then sends them to the address of their run. The listener closes last.
   */
  close(deadlineMs: number): Promise<void>;
};

/**
 * Builds the API and listens.
 *
 * @param isWorking whether the workers of this process do their work; undefined: it has none
 */
export async function startHttp(deps: Deps, isWorking?: () => boolean): Promise<HttpServer> {
  const { config, db, log } = deps;
  const drain = createDrain(() => performance.now());
  const uses = createTokenUses(db);
  const failures = createSignInFailures(db, () => performance.now());
  const flush = async () => {
    await Promise.all([uses.flush(), failures.flush()]).catch((error: unknown) =>
      log.warn({ err: error }, 'uses of tokens not written'),
    );
  };
  const flushing = setInterval(() => void flush(), TOKEN_USES_MS);
  const rateLimitRedis = openRateLimitRedis(deps);
  const app = createApp({
    deps,
    signIn: createSignIn(
      createAuthenticate({
        db,
        uses,
        operatorToken: config.operatorToken,
        cacheMs: TOKEN_CACHE_MS,
        now: () => performance.now(),
      }),
      failures,
    ),
    pressure: createPressure({
      db,
      maxQueued: config.maxQueued,
      refreshMs: PRESSURE_MS,
      now: () => performance.now(),
    }),
    rateLimitRedis,
    drain,
    metrics: openMetrics(deps),
    isWorking,
  });
  const server = createAdaptorServer({ fetch: app.fetch }) as Server;
  const release = async () => {
    clearInterval(flushing);
    await withTimeout(flush(), LAST_FLUSH_MS).catch(() => undefined);
    rateLimitRedis?.disconnect();
  };
  const url = await listen(server, config.host, config.port).catch(async (error: unknown) => {
    await release();
    throw error;
  });

  return {
    url,
    app,
    close: async (deadlineMs) => {
      drain.begin();
      const late = setTimeout(() => deps.waiters.close(), deadlineMs);
      await untilQuiet(drain, deadlineMs);
      await closeServer(server);
      clearTimeout(late);
      await release();
    },
  };
}

function openMetrics({ db, waiters, log }: Deps): Metrics {
  const tally = createRunTally({ db, settleMs: SETTLE_MS, batch: 20_000, now: () => Date.now() });
  return createMetrics({
    takeFinishedRuns: () => tally.takeFinished(),
    countQueued: () => countQueuedRuns(db, 100_000),
    countWaiters: () => waiters.count(),
    onError: (error) => log.warn({ err: error }, 'metrics are not up to date'),
  });
}

function openRateLimitRedis({ config, log }: Deps): Redis | undefined {
  if (config.redisUrl === undefined || config.rateLimitPerMinute === 0) return undefined;
  const redis = new Redis(config.redisUrl, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
    // A Redis that hangs must not hold up every request.
    commandTimeout: RATE_LIMIT_TIMEOUT_MS,
  });
  redis.on('error', (error) => log.warn({ err: error }, 'rate limits count per process'));
  return redis;
}

async function listen(server: Server, host: string, port: number): Promise<string> {
  const ready = Promise.withResolvers<void>();
  server.once('error', (error: NodeJS.ErrnoException) =>
    ready.reject(new AppError('unavailable', whyNotListening(error, host, port), { cause: error })),
  );
  server.listen(port, host, () => ready.resolve());
  await ready.promise;
  const { address, family, port: bound } = server.address() as AddressInfo;
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${bound}`;
}

function whyNotListening(error: NodeJS.ErrnoException, host: string, port: number): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return `Port ${port} on ${host} is in use. Stop what listens there, or set PORT to another port.`;
    case 'EACCES':
      return `Port ${port} on ${host} needs rights that this process lacks. Set PORT to 1024 or above.`;
    default:
      return `Cannot listen on ${host}:${port}: ${error.message}. Set HOST to an address of this machine, or to 0.0.0.0.`;
  }
}

/** Callers that keep a connection have this long to learn that we stop; those that call without end, no longer. */
const QUIET_MS = 200;
const MAX_QUIET_MS = 1000;
const LOOK_MS = 20;

async function untilQuiet(drain: Drain, deadlineMs: number): Promise<void> {
  const deadline = performance.now() + deadlineMs + LAST_ANSWERS_MS;
  while (drain.isBusy() && performance.now() < deadline) await sleep(LOOK_MS);
  const until = performance.now() + MAX_QUIET_MS;
  while (drain.quietMs() < QUIET_MS && performance.now() < until) await sleep(LOOK_MS);
}

/** How long answers that are being sent may take. */
const LAST_ANSWERS_MS = 1000;

async function closeServer(server: Server): Promise<void> {
  const closed = Promise.withResolvers<void>();
  server.close(() => closed.resolve());
  server.closeIdleConnections();
  // A caller that was just answered keeps its connection; without this it would hold us up.
  const idle = setInterval(() => server.closeIdleConnections(), 100);
  const last = setTimeout(() => server.closeAllConnections(), LAST_ANSWERS_MS);
  await closed.promise;
  clearInterval(idle);
  clearTimeout(last);
}
