import { rm } from 'node:fs/promises';
import type { CaptureOptions } from './capture-types.ts';
import type { Checkpoint } from './checkpoint.ts';
import { readCheckpoint } from './checkpoint.ts';
import type { RepositoryConfig } from './config.ts';
import type { GitOptions } from './git.ts';
import { git } from './git.ts';
import type { Head } from './head.ts';
import { readHead } from './head.ts';
import type { Operation } from './operation.ts';
import { readOperation } from './operation.ts';
import type { PrivateDir } from './private-dir.ts';
import { exists, privateGit } from './private-dir.ts';
import { ObjectsGone, ownObjects } from './reachable.ts';
import type { Repository } from './repository.ts';
import type { Staged } from './staged.ts';
import { cachedStaged, cacheStaged, readStaged } from './staged.ts';
import { copyUserIndex, indexKey, isDamage } from './user-index.ts';

/** What the steps of one capture share. */
export type Session = {
  options: CaptureOptions;
  repository: Repository;
  config: RepositoryConfig;
  dir: PrivateDir;
  /** Working copy of the user's index. */
  staged: string;
  signal: AbortSignal;
  /** No other try will follow: what cannot be saved is left out, and named. */
  isLast: boolean;
};

export type UserState = {
  head: Head;
  staged: Staged;
  operation: Operation;
  /** The last checkpoint; null when there is none, or its commit is gone. */
  previous: Checkpoint | null;
  warnings: string[];
};

const TRIES = 3;

/**
 * Reads HEAD, index and operation so that they belong together: when the index was written in between
 * (git does so with every commit, switch or merge), all are read again.
 */
export async function readUserState(session: Session): Promise<UserState> {
  const { repository, signal } = session;
  for (let n = 1; ; n += 1) {
    const key = await indexKey(repository);
    const [previous, head, index, operation] = await Promise.all([
      readPrevious(session),
      readHead(repository, signal),
      readIndexState(session, key),
      readOperation(repository),
    ]);
    const steady = (await indexKey(repository)) === key;
    if (steady || n === TRIES) {
      const warnings = [...broken(session, head), ...index.warnings];
      if (!steady) warnings.push('The index kept changing; the staged part may be older.');
      if (session.options.previous !== null && !previous) {
        warnings.push('The previous checkpoint is gone; this one starts a new chain.');
      }
      return { head, staged: index.staged, operation, previous, warnings };
    }
  }
}

function stagedGit({ dir, repository, staged, signal }: Session): GitOptions {
  return privateGit(dir, repository, staged, signal);
}

/** Parts of the repository that git itself could not read either. The rest is saved. */
function broken({ config }: Session, head: Head): string[] {
  const told = 'run `git status` in the worktree to see why';
  return [
    ...(config.readable
      ? []
      : [`The configuration of the repository cannot be read in full; ${told}.`]),
    ...(head.readable
      ? []
      : [`HEAD, or its branch, cannot be read, so the checkpoint has no base; ${told}.`]),
  ];
}

type IndexState = { staged: Staged; warnings: string[] };

async function readIndexState(session: Session, key: string): Promise<IndexState> {
  const { repository, dir, staged, signal } = session;
  const cached = await cachedStaged(dir, key);
  if (cached) return { staged: cached, warnings: [] };
  const options = stagedGit(session);
  try {
    const copy = await copyUserIndex(repository, dir, staged, options);
    const state = await readStaged(copy, key, dir, options);
    await cacheStaged(dir, state);
    return { staged: state, warnings: [] };
  } catch (error) {
    if (!isDamage(error, signal)) throw error;
    const warning =
      'The index of the worktree cannot be read: what was staged is not saved apart from the files; run `git status` there to see why.';
    return { staged: await stagedOfHead(session, key), warnings: [warning] };
  }
}

/** As if nothing were staged. */
async function stagedOfHead(session: Session, key: string): Promise<Staged> {
  const { repository, dir, staged, signal } = session;
  await rm(staged, { force: true });
  const { oid } = await readHead(repository, signal);
  const options = stagedGit(session);
  if (oid !== null) await git(['read-tree', oid], { ...options, okCodes: [128] });
  return readStaged(null, key, dir, options);
}

async function readPrevious(session: Session): Promise<Checkpoint | null> {
  const { previous } = session.options;
  if (previous === null) return null;
  const checkpoint = await readCheckpoint(previous, stagedGit(session));
  // A private directory that is new, or was found wanting, vouches for nothing.
  if (!checkpoint || (await exists(session.dir.index))) return checkpoint;
  const { repository, dir, signal } = session;
  const whole = { repository, privateDir: dir.path, commit: previous, signal };
  return ownObjects(whole).then(
    () => checkpoint,
    (error: unknown) => {
      if (error instanceof ObjectsGone) return null;
      throw error;
    },
  );
}
