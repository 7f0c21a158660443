import { createBatcher } from '../../batch.ts';
import type { Config } from '../../config.ts';
import type { Db } from '../../db/connect.ts';
import { findAgentsAtWork } from '../../db/queries/agents.ts';
import type { Log } from '../../log.ts';
import { createGitHubForge } from '../forge/github/github.ts';
import { createLabelWriter } from '../reconcile/label-writer.ts';
import { defaultReconcileSettings } from '../reconcile/settings.ts';
import { createFlights } from '../sync/flights.ts';
import { defaultSyncSettings } from '../sync/settings.ts';
import type { HeartbeatDeps } from './step.ts';

/** How many repositories a process syncs at once. */
const MAX_SYNCS = 4;
const MAX_BATCH = 64;

/** What the steps of heartbeats need in a worker process. Close it before the database. */
export function openHeartbeatDeps(options: {
  config: Config;
  db: Db;
  log: Log;
  /** Names this process as the holder of leases. */
  instance: string;
}): HeartbeatDeps & { close(): Promise<void> } {
  const { config, db, log, instance } = options;
  const forge = createGitHubForge({ ...config.github, log });
  const flights = createFlights(MAX_SYNCS, (error) => log.error({ err: error }, 'sync failed'));
  const labels = {
    db,
    forge,
    log,
    settings: { ...defaultReconcileSettings, ...config.reconcile },
  };
  const writer = createLabelWriter(labels);
  return {
    db,
    log,
    findAgent: createBatcher({
      max: MAX_BATCH,
      send: (ids: string[]) => findAgentsAtWork(db, ids),
    }),
    sync: {
      db,
      forge,
      log,
      flights,
      instance,
      settings: { ...defaultSyncSettings, ...config.sync },
    },
    reconcile: { ...labels, writer },
    heartbeatSeconds: config.heartbeatSeconds,
    close: async () => {
      await Promise.all([flights.close(), writer.close()]);
    },
  };
}
