import { isAbsolute } from 'node:path';
import { notePushed } from '../../db/queries/checkpoints.ts';
import type { CheckpointRow } from '../../db/queries/checkpoints.ts';
import type { Session } from '../../db/schema.ts';
import { AppError } from '../../errors.ts';
import { pushCheckpoint, remoteRef } from '../git/push.ts';
import { scanForSecrets } from '../git/secrets.ts';
import { isReachable } from '../git/tip.ts';
import { remoteFor } from './access.ts';
import type { CheckpointDeps } from './deps.ts';

export type PushWork = {
  /** A git directory that holds the checkpoint. */
  gitDir: string;
  ref: string;
  commit: string;
  /** Remotes that the worktree names. */
  remotes: readonly { name: string; url: string }[];
  /** Commits that the remote is known to have. */
  haves: readonly string[];
};

/** Undefined: nothing is to be pushed. A name that the worktree does not have is an error. */
export function targetOf(
  remote: string,
  remotes: readonly { name: string; url: string }[],
): string | undefined {
  if (remote === 'none') return undefined;
  const named = remotes.find(({ name }) => name === remote);
  if (named) return named.url;
  if (isAbsolute(remote) || remote.includes(':')) return remote;
  throw new AppError(
    'invalid',
    `The worktree has no remote "${remote}", so the checkpoint was not pushed. Set the agent's policy.checkpointRemote or DEFIB_CHECKPOINT_REMOTE to one that it has, a URL, or "none".`,
  );
}

/**
 * Pushes a checkpoint's branch under a lease, unless a secret would go with it. Returns why it was
 * not pushed, a sentence for each reason; none: the remote has acknowledged it.
 */
export async function pushBranch(
  deps: CheckpointDeps,
  session: Session,
  checkpoint: CheckpointRow,
  work: PushWork & { url: string },
  signal: AbortSignal,
): Promise<string[]> {
  const { gitDir: privateDir, commit, ref, url } = work;
  const kept = await secretsIn(work, signal);
  if (kept.length > 0) return kept;
  const remote = await remoteFor(deps, session, url);
  const base = { privateDir, remote, signal };
  // Also what a process pushed that died before it could note it.
  const expected = await remoteRef(base, ref);
  if (expected !== null && !(await isReachable(expected, commit, { gitDir: privateDir, signal }))) {
    throw new AppError(
      'conflict',
      `The branch ${session.checkpoint_branch} of the remote was moved by somebody else; it was left where it is.`,
    );
  }
  await pushCheckpoint({ ...base, ref, commit, expected });
  await notePushed(deps.db, { id: checkpoint.id, sessionId: session.id, url, commit });
  return [];
}

const MAX_NAMED = 10;

async function secretsIn(
  { gitDir: privateDir, commit, haves }: PushWork,
  signal: AbortSignal,
): Promise<string[]> {
  const { findings, complete } = await scanForSecrets({ privateDir, commit, haves, signal });
  const named = findings
    .slice(0, MAX_NAMED)
    .map(({ path, rule }) => `Not pushed: a secret (${rule}) in ${path}.`);
  const more = findings.length - named.length;
  if (more > 0) named.push(`Not pushed: ${more} more secrets.`);
  if (!complete) named.push('Not pushed: there was too much text to search it all for secrets.');
  return named;
}
