import { createRoute, z } from '@hono/zod-openapi';
import type { Context, MiddlewareHandler } from 'hono';
import { matchedRoutes } from 'hono/route';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { withTimeout } from '../with-timeout.ts';
import type { FinishedRun } from '../services/runs/tally.ts';
import type { AppEnv } from './env.ts';
import { createRouter } from './validation.ts';

// Up to the longest that a caller is held open.
const REQUEST_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const RUN_SECONDS = [0.005, 0.025, 0.1, 0.5, 1, 5, 10, 30, 60, 300];
const READ_TIMEOUT_MS = 2000;

export type MetricsOptions = {
  /** Runs finished since it was last asked. */
  takeFinishedRuns: () => Promise<FinishedRun[]>;
  /** How many runs wait for a worker now. */
  countQueued: () => Promise<number>;
  /** How many callers are held open now. */
  countWaiters: () => number;
  onError: (error: unknown) => void;
};

export type Metrics = {
  registry: Registry;
  observeRequests: MiddlewareHandler<AppEnv>;
  /**
   * The metrics as text, brought up to date from the database. Where that does not answer, the rest
   * is there and `defib_runs_queued` is not: a wrong figure is worse than none.
   */
  scrape(): Promise<string>;
};

/** What Prometheus is told, in a registry of this app's own. */
export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const { requests, runs, runSeconds, queued, waiters } = define(registry);

  const readQueued = async () => {
    try {
      queued.set(await withTimeout(options.countQueued(), READ_TIMEOUT_MS));
    } catch (error) {
      queued.remove();
      throw error;
    }
  };
  const addFinished = async () => {
    for (const { kind, status, seconds } of await options.takeFinishedRuns()) {
      runs.inc({ kind, status });
      runSeconds.observe({ kind }, seconds);
    }
  };
  // Two that scrape at once share one read, or each run would be counted twice.
  let adding: Promise<void> | undefined;
  const readFinished = async () => {
    adding ??= addFinished().finally(() => (adding = undefined));
    await withTimeout(adding, READ_TIMEOUT_MS);
  };

  return {
    registry,
    observeRequests: async (c, next) => {
      const started = performance.now();
      await next();
      requests.observe(
        { method: c.req.method, route: routeOf(c), status: c.res.status },
        (performance.now() - started) / 1000,
      );
    },
    scrape: async () => {
      await Promise.all([
        readQueued().catch(options.onError),
        readFinished().catch(options.onError),
      ]);
      waiters.set(options.countWaiters());
      return await registry.metrics();
    },
  };
}

function define(registry: Registry) {
  const registers = [registry];
  return {
    requests: new Histogram({
      name: 'defib_http_request_duration_seconds',
      help: 'Time to answer, with the time that a caller was held open.',
      labelNames: ['method', 'route', 'status'] as const,
      buckets: REQUEST_SECONDS,
      registers,
    }),
    runs: new Counter({
      name: 'defib_runs_finished_total',
      help: 'Runs accepted since this process started and finished by any worker. Read from the database: every process tells the same, so take the maximum, not the sum.',
      labelNames: ['kind', 'status'] as const,
      registers,
    }),
    runSeconds: new Histogram({
      name: 'defib_run_duration_seconds',
      help: 'Time from the start of a run to its end. Read from the database like defib_runs_finished_total.',
      labelNames: ['kind'] as const,
      buckets: RUN_SECONDS,
      registers,
    }),
    queued: new Gauge({
      name: 'defib_runs_queued',
      help: 'Runs that wait for a worker, counted up to 100000. Read from the database.',
      registers,
    }),
    waiters: new Gauge({
      name: 'defib_waiters',
      help: 'Callers that this process holds open.',
      registers,
    }),
  };
}

/** The pattern of the route, never the path itself, of which there are endlessly many. */
function routeOf(c: Context<AppEnv>): string {
  const route = matchedRoutes(c).at(-1);
  // What ends in middleware alone has no handler.
  return route === undefined || route.method === 'ALL' ? 'none' : route.path;
}

const route = createRoute({
  method: 'get',
  path: '/metrics',
  operationId: 'getMetrics',
  tags: ['Operations'],
  summary: 'Metrics for Prometheus',
  description: 'Without a token. Holds no names of agents or repositories.',
  responses: {
    200: {
      description: 'The text format of Prometheus',
      content: { 'text/plain': { schema: z.string() } },
    },
  },
});

export function metricsRoutes(metrics: Metrics) {
  return createRouter().openapi(route, async (c) =>
    c.text(await metrics.scrape(), 200, { 'Content-Type': metrics.registry.contentType }),
  );
}
