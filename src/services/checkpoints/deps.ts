import type { Config } from '../../config.ts';
import type { Db } from '../../db/connect.ts';
import type { Log } from '../../log.ts';
import type { Allowances } from '../git/secret-allowances.ts';
import type { RepositoryPolicy } from '../git/repository.ts';
import { type Credentials, protocolsOf, type UrlPolicy } from '../git/url.ts';
import { findSpawnUser, type SpawnUser } from '../spawners/user.ts';
import { makePlaces, type Places } from './places.ts';
import type { Quota } from './quota.ts';
import { createTurns, type Turns } from './turns.ts';

/** What work on checkpoints needs in a worker process. */
export type CheckpointDeps = {
  db: Db;
  log: Log;
  /** Names this machine. */
  host: string;
  places: Places;
  /** Whose the worktrees are that are made for agents started here. Undefined: this process's. */
  spawnUser: SpawnUser | undefined;
  /** Which worktrees may be captured, and where new ones may be made. */
  policy: RepositoryPolicy;
  /** Which remotes may be reached. */
  urls: UrlPolicy;
  credentials: readonly Credentials[];
  /** Where branches are pushed when the agent's policy does not say. */
  remote: string;
  /** Which findings of secrets do not count. */
  secrets: Allowances;
  maxBundleBytes: number;
  quota: Quota;
  /** Days that checkpoints are kept whose work did not succeed, where the agent's policy does not say. */
  retentionDays: number;
  turns: Turns;
};

export async function openCheckpointDeps(options: {
  config: Config;
  db: Db;
  log: Log;
}): Promise<CheckpointDeps> {
  const { config, db, log } = options;
  const { checkpoints } = config;
  const spawnUser =
    config.spawn.user === undefined ? undefined : await findSpawnUser(config.spawn.user);
  const places = await makePlaces(config.dataDir, spawnUser !== undefined);
  const roots = [...checkpoints.roots, places.worktrees];
  return {
    db,
    log,
    host: config.hostname,
    places,
    spawnUser,
    policy: { roots, ...(spawnUser && { owners: [process.geteuid?.() ?? 0, spawnUser.uid] }) },
    urls: {
      roots,
      protocols: protocolsOf(checkpoints),
      hosts: checkpoints.gitHosts,
    },
    credentials: checkpoints.credentials,
    remote: checkpoints.remote,
    secrets: checkpoints.secrets,
    maxBundleBytes: checkpoints.maxBundleBytes,
    quota: checkpoints.quota,
    retentionDays: checkpoints.retentionDays,
    turns: createTurns(),
  };
}
