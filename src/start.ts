import type { Config } from './config.ts';
import { type Deps, openDeps } from './deps.ts';
import { type HttpServer, startHttp } from './http/server.ts';
import { startWorkers, type Workers } from './jobs/workers.ts';
import type { Log } from './log.ts';
import type { Running } from './process.ts';
import { openHeartbeatDeps } from './services/heartbeat/deps.ts';
import { openResumeDeps } from './services/resume/deps.ts';
import { createClaims } from './services/runs/claims.ts';

/** Together these bound how late the run of a dead worker goes on. */
export type Timings = {
  /** How long a claim on a run holds without renewal. */
  claimSeconds: number;
  renewMs: number;
  /** How often lost runs are looked for. */
  sweepMs: number;
};

/** Under 45 s from the death of a worker to the next claim on its run. */
const TIMINGS: Timings = { claimSeconds: 20, renewMs: 5000, sweepMs: 5000 };

export type Started = Running & { deps: Deps; http: HttpServer | undefined };

/** Starts the API, the workers, or both, on a migrated database. */
export async function start(options: {
  config: Config;
  log: Log;
  databaseUrl: string;
  web: boolean;
  worker: boolean;
  timings?: Timings;
}): Promise<Started> {
  const { config, log } = options;
  const deps = await openDeps(config, log, options.databaseUrl);
  let workers: Workers | undefined;
  try {
    let http: HttpServer | undefined;
    const url = () => config.publicUrl ?? http?.url ?? `http://127.0.0.1:${config.port}`;
    workers = options.worker ? await openWorkers(deps, options.timings ?? TIMINGS, url) : undefined;
    http = options.web ? await startHttp(deps, workers?.isWorking) : undefined;
    if (options.worker && !options.web && !config.publicUrl) {
      log.warn(
        { url: url() },
        'DEFIB_PUBLIC_URL is not set: agents that this worker starts look for the API on this machine',
      );
    }
    return { deps, http, stop: () => stop(deps, http, workers) };
  } catch (error) {
    // Workers hold connections, and closing the pools would wait for them.
    await stop(deps, undefined, workers);
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

/** @param url where agents that are started here find the API */
async function openWorkers(deps: Deps, timings: Timings, url: () => string): Promise<Workers> {
  const { config, log, db, queues, wakeups } = deps;
  const claims = createClaims({
    db,
    holder: deps.instance,
    leaseSeconds: timings.claimSeconds,
    renewMs: timings.renewMs,
    onError: (error) => log.warn({ err: error }, 'claims not renewed'),
  });
  const heartbeat = openHeartbeatDeps({ config, db, log, instance: deps.instance });
  const sessionWork = await openResumeDeps({ config, db, log, url });
  const workers = startWorkers({
    deps: {
      db,
      log,
      queues,
      wakeups,
      claims,
      heartbeat,
      sessionWork,
      runRetentionDays: config.runRetentionDays,
      sessionRetentionDays: config.sessionRetentionDays,
      auditRetentionDays: config.auditRetentionDays,
      sessionSettings: deps.sessionSettings,
    },
    log,
    host: config.hostname,
    concurrency: config.workerConcurrency,
    sweepMs: timings.sweepMs,
  });
  return {
    isWorking: workers.isWorking,
    close: async (deadlineMs) => {
      await workers.close(deadlineMs);
      claims.close();
      await heartbeat.close();
    },
  };
}
