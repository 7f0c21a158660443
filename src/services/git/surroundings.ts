import { lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BaseInfo } from './capture-types.ts';
import type { CheckpointState } from './checkpoint.ts';
import { STATE } from './checkpoint.ts';
import type { RepositoryConfig } from './config.ts';
import { readingOf, remotesOf } from './config.ts';
import { git } from './git.ts';
import type { Head } from './head.ts';
import type { TreeFile, TreeFiles } from './objects.ts';
import type { Operation } from './operation.ts';
import { readPlain } from './plain-file.ts';
import { readIndex } from './index-file.ts';
import type { ObjectFormat } from './private-dir.ts';
import { exists, hashBytes } from './private-dir.ts';
import { carried, configRecords } from './restore/config.ts';
import type { Repository } from './repository.ts';
import { nulTerminated } from './stage.ts';
import type { Staged } from './staged.ts';
import type { UserRefs } from './user-refs.ts';
import { absolute, inBatches } from './vet.ts';

/** Bytes of one file of the state; a larger one is refused. */
const MAX_STATE_FILE = 16 * 1024 * 1024;

/** Everything beside the two trees that a restore needs, as the files of the state commit. */
export type Surroundings = { state: CheckpointState; files: TreeFiles };

export async function readSurroundings(
  repository: Repository,
  config: RepositoryConfig,
  head: Head,
  staged: Staged,
  operation: Operation,
  refs: UserRefs,
  base: BaseInfo,
  emptyFolders: readonly Buffer[],
  absent: readonly Buffer[],
): Promise<Surroundings> {
  const files = new Map<string, TreeFile>(refs.files);
  const put = (name: string, content: Buffer) => content.length > 0 && files.set(name, content);
  put(STATE.unmerged, Buffer.from(staged.unmerged, 'base64'));
  put(STATE.undo, Buffer.from(staged.undo, 'base64'));
  put(STATE.flags, Buffer.from(staged.flags, 'base64'));
  put(STATE.emptyFolders, nulTerminated([...emptyFolders].sort(Buffer.compare)));
  put(STATE.absent, nulTerminated(absent));
  const sparse = await sparsePatterns(repository, config);
  if (sparse) put(STATE.sparse, sparse);
  const { entries, left } = carried(config.entries, repository.worktree);
  put(STATE.config, configRecords(entries));
  put(STATE.configLeft, Buffer.from(left.join('\n')));
  const shallow = await readPlain(join(repository.commonDir, 'shallow'), MAX_STATE_FILE);
  if (shallow) put(STATE.shallow, shallow);
  for (const [name, content] of operation.files) {
    files.set(`${STATE.operation}${name}`, content);
  }
  for (const oid of staged.blobs) files.set(`${STATE.blobs}${oid}`, { oid });
  const cone = config.values.get('core.sparsecheckoutcone') === 'true';
  const state: CheckpointState = {
    version: 2,
    head: head.oid,
    branch: head.branch,
    operation: operation.kind,
    sparse: sparse ? { cone } : null,
    settings: readingOf(config),
    ...base,
  };
  return { state, files };
}

export async function readBase(
  repository: Repository,
  config: RepositoryConfig,
  head: Head,
  signal: AbortSignal | undefined,
): Promise<BaseInfo> {
  const remote = config.values.get(`branch.${head.branch}.remote`);
  const merge = config.values.get(`branch.${head.branch}.merge`);
  return {
    objectFormat: config.objectFormat,
    shallow: await exists(join(repository.commonDir, 'shallow')),
    remotes: remotesOf(config),
    upstream: remote !== undefined && merge !== undefined ? { remote, merge } : null,
    ...(await hasRemote(repository, head, signal)),
  };
}

/** Branches of our own there do not count: they are gone after success. */
async function hasRemote(
  { gitDir }: Repository,
  { oid }: Head,
  signal: AbortSignal | undefined,
): Promise<Pick<BaseInfo, 'onRemote'>> {
  if (oid === null) return { onRemote: false };
  const args = ['rev-list', '-n', '1', oid, '--not', '--exclude=*/checkpoint/*', '--remotes'];
  const { code, stdout } = await git(args, { gitDir, signal, okCodes: [128] });
  return code === 0 ? { onRemote: stdout.length === 0 } : {};
}

/**
 * Paths of the checkpoint that are marked skip-worktree and indeed not there. (Those that exist were saved like
 * all others; those that something else stands in the way of are not in the checkpoint.)
 */
export async function absentPaths(
  repository: Repository,
  staged: Staged,
  index: string,
  format: ObjectFormat,
): Promise<Buffer[]> {
  if (staged.skipped.length === 0 && !staged.manySkipped) return [];
  const { entries } = await readIndex(await readFile(index), hashBytes(format));
  const skipped = entries.filter((entry) => entry.skipWorktree);
  const there = await inBatches(skipped, ({ path }) =>
    lstat(absolute(repository.worktree, path)).catch(() => null),
  );
  return skipped.filter((_, n) => !there[n]).map((entry) => entry.path);
}

async function sparsePatterns(
  repository: Repository,
  config: RepositoryConfig,
): Promise<Buffer | null> {
  if (config.values.get('core.sparsecheckout') !== 'true') return null;
  const path = join(repository.gitDir, 'info', 'sparse-checkout');
  return readPlain(path, MAX_STATE_FILE);
}
