import { AppError } from '../../errors.ts';
import { git } from './git.ts';
import { requireCheckpointRef, requireOid } from './names.ts';
import { requirePlainPath, sweepLock } from './own-refs.ts';
import { readRef, refGit } from './publish.ts';
import type { PushBase } from './push.ts';
import { pushRef, remoteRef } from './push.ts';
import type { Repository, RepositoryPolicy } from './repository.ts';
import { locateRepository } from './repository.ts';

/** `deleted`; `absent`: it was not there; `moved`: it points elsewhere and was left alone. */
export type Pruned = 'deleted' | 'absent' | 'moved';

export type OwnRef = {
  ref: string;
  /** Where the last checkpoint left it: only then it may go. */
  commit: string;
};

/** Deletes a checkpoint branch from the worktree's own repository, if it points where it was left. */
export async function deleteLocalRef(
  worktree: string,
  policy: RepositoryPolicy,
  own: OwnRef,
  signal?: AbortSignal,
): Promise<Pruned> {
  const ref = requireCheckpointRef(own.ref);
  const commit = requireOid('The checkpoint', own.commit);
  const repository = await locateRepository(worktree, policy);
  await requirePlainPath(repository, ref);
  const options = refGit(repository, signal);
  const present = await readRef(ref, options);
  if (present === null) return 'absent';
  if (present !== commit) return 'moved';
  return deleteNow(repository, ref, commit, signal);
}

async function deleteNow(
  repository: Repository,
  ref: string,
  commit: string,
  signal: AbortSignal | undefined,
): Promise<Pruned> {
  const options = refGit(repository, signal);
  const args = ['update-ref', '--no-deref', '-d', ref, commit];
  for (let tries = 1; ; tries += 1) {
    const { code } = await git(args, { ...options, okCodes: [1, 128] });
    if (code === 0) return 'deleted';
    const now = await readRef(ref, options);
    if (now === null) return 'absent';
    if (now !== commit) return 'moved';
    if (tries === 2 || !(await sweepLock(repository, ref))) {
      throw new AppError('unavailable', 'The checkpoint branch is locked by another process.', {
        transient: true,
      });
    }
  }
}

/** Deletes a checkpoint branch on a remote, if it points where it was left. */
export async function deleteRemoteRef(options: PushBase, own: OwnRef): Promise<Pruned> {
  const ref = requireCheckpointRef(own.ref);
  const commit = requireOid('The checkpoint', own.commit);
  const present = await remoteRef(options, ref);
  if (present === null) return 'absent';
  if (present !== commit) return 'moved';
  return (await pushRef(options, `:${ref}`, ref, commit)) === 'done' ? 'deleted' : 'moved';
}
