import { lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BaseInfo } from './capture-types.ts';
import type { CheckpointState } from './checkpoint.ts';
import { STATE } from './checkpoint.ts';
import type { RepositoryConfig } from './config.ts';
import { remotesOf } from './config.ts';
import type { Head } from './head.ts';
import type { TreeFiles } from './objects.ts';
import type { Operation } from './operation.ts';
import { exists } from './private-dir.ts';
import type { Repository } from './repository.ts';
import { nulTerminated } from './stage.ts';
import type { Staged } from './staged.ts';
import { absolute } from './vet.ts';

/** Everything beside the two trees that a restore needs, as the files of the state commit. */
export type Surroundings = { state: CheckpointState; files: TreeFiles; base: BaseInfo };

export async function readSurroundings(
  repository: Repository,
  config: RepositoryConfig,
  head: Head,
  staged: Staged,
  operation: Operation | null,
  emptyFolders: readonly Buffer[],
): Promise<Surroundings> {
  const base = await readBase(repository, config, head);
  const files = new Map<string, Buffer | { oid: string }>();
  const put = (name: string, content: Buffer) => content.length > 0 && files.set(name, content);
  put(STATE.unmerged, Buffer.from(staged.unmerged, 'base64'));
  put(STATE.flags, Buffer.from(staged.flags, 'base64'));
  put(STATE.emptyFolders, nulTerminated([...emptyFolders].sort(Buffer.compare)));
  put(STATE.absent, nulTerminated(await absentPaths(repository, staged)));
  const sparse = await sparsePatterns(repository, config);
  if (sparse) put(STATE.sparse, sparse);
  if (base.shallow) put(STATE.shallow, await readFile(join(repository.commonDir, 'shallow')));
  for (const [name, content] of operation?.files ?? []) {
    files.set(`${STATE.operation}${name}`, content);
  }
  for (const oid of staged.blobs) files.set(`${STATE.blobs}${oid}`, { oid });
  const cone = config.values.get('core.sparsecheckoutcone') === 'true';
  const state: CheckpointState = {
    version: 1,
    head: head.oid,
    branch: head.branch,
    operation: operation?.kind ?? null,
    sparse: sparse ? { cone } : null,
    ...base,
  };
  return { state, files, base };
}

async function readBase(
  repository: Repository,
  config: RepositoryConfig,
  head: Head,
): Promise<BaseInfo> {
  const remote = config.values.get(`branch.${head.branch}.remote`);
  const merge = config.values.get(`branch.${head.branch}.merge`);
  return {
    objectFormat: config.objectFormat,
    shallow: await exists(join(repository.commonDir, 'shallow')),
    remotes: remotesOf(config),
    upstream: remote !== undefined && merge !== undefined ? { remote, merge } : null,
  };
}

/** Paths marked skip-worktree that are indeed not there. The marked ones that exist were saved. */
async function absentPaths(repository: Repository, staged: Staged): Promise<Buffer[]> {
  const absent: Buffer[] = [];
  for (const encoded of staged.skipped) {
    const path = Buffer.from(encoded, 'base64');
    const info = await lstat(absolute(repository.worktree, path)).catch(() => null);
    if (!info) absent.push(path);
  }
  return absent;
}

async function sparsePatterns(
  repository: Repository,
  config: RepositoryConfig,
): Promise<Buffer | null> {
  if (config.values.get('core.sparsecheckout') !== 'true') return null;
  const path = join(repository.gitDir, 'info', 'sparse-checkout');
  const info = await lstat(path).catch(() => null);
  return info?.isFile() && info.size < 16 * 1024 * 1024 ? readFile(path) : null;
}
