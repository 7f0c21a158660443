import type { Config } from '../../config.ts';
import type { Db } from '../../db/connect.ts';
import type { Log } from '../../log.ts';
import type { Places } from '../checkpoints/places.ts';
import { createCommandSpawner } from './command.ts';
import { createTakeover } from './takeover.ts';
import type { Spawners } from './spawner.ts';
import type { SpawnUser } from './user.ts';
import { createWebhookSpawner } from './webhook.ts';

export type SpawnerDeps = {
  config: Config;
  db: Db;
  log: Log;
  places: Places;
  /** Whom agents run as. Undefined: as this process. */
  spawnUser: SpawnUser | undefined;
  /** Where the agents find the API. */
  url: () => string;
};

export function createSpawners(deps: SpawnerDeps): Spawners {
  return {
    command: createCommandSpawner(deps),
    webhook: createWebhookSpawner(deps),
    takeover: createTakeover(deps),
  };
}
