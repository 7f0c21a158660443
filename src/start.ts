import type { Config } from './config.ts';
import { type Deps, openDeps } from './deps.ts';
import { type HttpServer, startHttp } from './http/server.ts';
import { startWorkers, type Workers } from './jobs/workers.ts';
import type { Log } from './log.ts';
import type { Running } from './process.ts';
import { openHeartbeatDeps } from './services/heartbeat/deps.ts';
import { createClaims } from './services/runs/claims.ts';

/**
 * How long a claim on a run holds without renewal, how often it is renewed, and how often lost
 * runs are looked for: together they bound how late a dead worker's run goes on (under 45 s).
 */
const CLAIM_SECONDS = 20;
const RENEW_MS = 5000;
const SWEEP_MS = 5000;

export type Started = Running & { deps: Deps; http: HttpServer | undefined };

/** Starts the API, the workers, or both, on a migrated database. */
export async function start(options: {
  config: Config;
  log: Log;
  databaseUrl: string;
  web: boolean;
  worker: boolean;
}): Promise<Started> {
  const { config, log } = options;
  const deps = await openDeps(config, log, options.databaseUrl);
  try {
    const workers = options.worker ? openWorkers(deps) : undefined;
    const http = options.web ? await startHttp(deps) : undefined;
    return { deps, http, stop: () => stop(deps, http, workers) };
  } catch (error) {
    await deps.close();
    throw error;
  }
}

/** Callers first: the workers go on making their answers until the last one has it. */
async function stop(
  deps: Deps,
  http: HttpServer | undefined,
  workers: Workers | undefined,
): Promise<void> {
  const deadline = performance.now() + deps.config.drainMs;
  await http?.close(deps.config.drainMs / 2);
  await workers?.close(Math.max(0, deadline - performance.now()));
  await deps.close();
}

function openWorkers(deps: Deps): Workers {
  const { config, log, db, queues, wakeups } = deps;
  const claims = createClaims({
    db,
    holder: deps.instance,
    leaseSeconds: CLAIM_SECONDS,
    renewMs: RENEW_MS,
    onError: (error) => log.warn({ err: error }, 'claims not renewed'),
  });
  const heartbeat = openHeartbeatDeps({ config, db, log, instance: deps.instance });
  const workers = startWorkers({
    deps: {
      db,
      log,
      queues,
      wakeups,
      claims,
      heartbeat,
      runRetentionDays: config.runRetentionDays,
    },
    log,
    concurrency: config.workerConcurrency,
    sweepMs: SWEEP_MS,
  });
  return {
    close: async (deadlineMs) => {
      await workers.close(deadlineMs);
      claims.close();
      await heartbeat.close();
    },
  };
}
