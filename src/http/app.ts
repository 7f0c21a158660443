import type { OpenAPIHono } from '@hono/zod-openapi';
import { requestId } from 'hono/request-id';
import type { Redis } from 'ioredis';
import type { Deps } from '../deps.ts';
import { AppError } from '../errors.ts';
import { listWorkerHosts } from '../services/hosts.ts';
import type { Pressure } from '../services/runs/pressure.ts';
import { bearerAuth, operatorForBrowser, type SignIn } from './auth.ts';
import { boardRoutes } from './board.ts';
import { limitBody } from './body-limit.ts';
import { refuseOtherSites } from './csrf.ts';
import { addDocs } from './docs.ts';
import type { Drain } from './drain.ts';
import type { AppEnv } from './env.ts';
import { healthRoutes } from './health.ts';
import { countCalls, mcpRoutes } from './mcp.ts';
import { refuseOtherHosts } from './hosts.ts';
import { type Metrics, metricsRoutes } from './metrics.ts';
import { pageHeaders } from './page-headers.ts';
import { problem, toProblem } from './problem.ts';
import { createLimiter, rateLimit } from './rate-limit.ts';
import { agentRoutes } from './routes/agents.ts';
import { auditRoutes } from './routes/audit.ts';
import { checkpointRoutes, isUpload } from './routes/checkpoints.ts';
import { heartbeatRoutes } from './routes/heartbeat.ts';
import { repoRoutes } from './routes/repos.ts';
import { runRoutes } from './routes/runs.ts';
import { sessionVerbRoutes } from './routes/session-verbs.ts';
import { sessionRoutes } from './routes/sessions.ts';
import { statusRoutes } from './routes/status.ts';
import { tokenRoutes } from './routes/tokens.ts';
import { createRouter } from './validation.ts';

const MAX_BODY_BYTES = 1024 * 1024;

export type AppOptions = {
  deps: Deps;
  signIn: SignIn;
  pressure: Pressure;
  /** Where rate limits are counted for all processes; undefined: each counts for itself. */
  rateLimitRedis: Redis | undefined;
  /** While the process drains, it still answers, but wants no new callers. */
  drain: Drain;
  metrics: Metrics;
  /** Whether the workers of this process do their work; undefined: it has none. */
  isWorking: (() => boolean) | undefined;
};

/** The HTTP API. Thin: every route checks, calls one service or job, and presents the row. */
export function createApp(options: AppOptions): OpenAPIHono<AppEnv> {
  const { deps, signIn, metrics } = options;
  const app = createRouter();
  app.use(metrics.observeRequests);
  app.use(requestId({ limitLength: 100 }));
  app.use(async (c, next) => {
    c.set('log', deps.log.child({ requestId: c.get('requestId') }));
    await next();
  });
  app.use(options.drain.guard);
  app.use(
    refuseOtherHosts({
      host: deps.config.host,
      publicUrl: deps.config.publicUrl,
      allowed: deps.config.allowedHosts,
    }),
  );
  app.onError(toProblem);
  app.notFound((c) =>
    problem(
      c,
      new AppError('not_found', `There is no ${c.req.method} ${c.req.path}. GET /docs lists all.`),
    ),
  );

  app.route('/', healthRoutes(deps, options));
  app.route('/', metricsRoutes(metrics));
  app.use('/admin/*', pageHeaders, operatorForBrowser(signIn));
  app.use('/admin/*', refuseOtherSites(deps.config.publicUrl));
  app.get('/admin/queues/', (c) => c.redirect('/admin/queues'));
  app.route(
    '/admin/queues',
    boardRoutes({
      queues: deps.queues.all,
      list: async () => deps.queues.withHosts(await listWorkerHosts(deps.db)),
    }),
  );

  const guards = [bearerAuth(signIn), limitBody(MAX_BODY_BYTES, { except: isUpload })] as const;
  const limiter = createLimiter({
    perMinute: deps.config.rateLimitPerMinute,
    redis: options.rateLimitRedis,
    prefix: deps.config.queuePrefix,
  });
  app.use('/api/*', guards[0], rateLimit(limiter), guards[1]);
  app.route('/api', heartbeatRoutes(deps, options.pressure));
  app.route('/api', agentRoutes(deps));
  app.route('/api', repoRoutes(deps));
  app.route('/api', tokenRoutes(deps));
  app.route('/api', auditRoutes(deps));
  app.route('/api', statusRoutes(deps));
  app.route('/api', runRoutes(deps));
  app.route('/api', sessionRoutes(deps));
  app.route('/api', sessionVerbRoutes(deps));
  app.route('/api', checkpointRoutes(deps, options.pressure));
  app.use(
    '/mcp',
    refuseOtherSites(deps.config.publicUrl),
    ...guards,
    rateLimit(limiter, countCalls),
  );
  app.route('/', mcpRoutes(app.fetch));
  addDocs(app);
  return app;
}
