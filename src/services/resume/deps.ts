import type { Config } from '../../config.ts';
import type { Db } from '../../db/connect.ts';
import type { Log } from '../../log.ts';
import { type CheckpointDeps, openCheckpointDeps } from '../checkpoints/deps.ts';
import { createSpawners } from '../spawners/create.ts';
import type { Spawners } from '../spawners/spawner.ts';

/** What work on sessions needs in a worker process. */
export type ResumeDeps = CheckpointDeps & {
  spawners: Spawners;
  /** Most agents that may run on one host after being started there. */
  spawnLimit: number;
};

export async function openResumeDeps(options: {
  config: Config;
  db: Db;
  log: Log;
  /** Where agents that are started here find the API. */
  url: () => string;
}): Promise<ResumeDeps> {
  const checkpoints = await openCheckpointDeps(options);
  const spawners = createSpawners({ ...options, ...checkpoints });
  return { ...checkpoints, spawners, spawnLimit: options.config.spawn.limit };
}
