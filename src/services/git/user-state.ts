import type { CaptureOptions } from './capture-types.ts';
import type { Checkpoint } from './checkpoint.ts';
import { readCheckpoint } from './checkpoint.ts';
import type { RepositoryConfig } from './config.ts';
import type { GitOptions } from './git.ts';
import type { Head } from './head.ts';
import { readHead } from './head.ts';
import type { Operation } from './operation.ts';
import { readOperation } from './operation.ts';
import type { PrivateDir } from './private-dir.ts';
import { privateGit } from './private-dir.ts';
import type { Repository } from './repository.ts';
import type { Staged } from './staged.ts';
import { cachedStaged, cacheStaged, readStaged } from './staged.ts';
import { copyUserIndex, indexKey } from './user-index.ts';

/** What the steps of one capture share. */
export type Session = {
  options: CaptureOptions;
  repository: Repository;
  config: RepositoryConfig;
  dir: PrivateDir;
  /** Working copy of the user's index. */
  staged: string;
  signal: AbortSignal;
};

export type UserState = {
  head: Head;
  staged: Staged;
  operation: Operation | null;
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
    const [previous, head, staged, operation] = await Promise.all([
      readPrevious(session),
      readHead(repository, signal),
      readIndexState(session, key),
      readOperation(repository, stagedGit(session)),
    ]);
    const steady = (await indexKey(repository)) === key;
    if (steady || n === TRIES) {
      const warnings = steady ? [] : ['The index kept changing; the staged part may be older.'];
      if (session.options.previous !== null && !previous) {
        warnings.push('The previous checkpoint is gone; this one starts a new chain.');
      }
      return { head, staged, operation, previous, warnings };
    }
  }
}

function stagedGit({ dir, repository, staged, signal }: Session): GitOptions {
  return privateGit(dir, repository, staged, signal);
}

async function readIndexState(session: Session, key: string): Promise<Staged> {
  const { repository, dir, staged } = session;
  const cached = await cachedStaged(dir, key);
  if (cached) return cached;
  const options = stagedGit(session);
  const copy = await copyUserIndex(repository, dir, staged, options);
  const state = await readStaged(copy, key, dir, options);
  await cacheStaged(dir, state);
  return state;
}

async function readPrevious(session: Session): Promise<Checkpoint | null> {
  const { previous } = session.options;
  return previous === null ? null : readCheckpoint(previous, stagedGit(session));
}
