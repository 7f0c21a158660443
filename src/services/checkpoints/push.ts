import { isAbsolute } from 'node:path';
import { notePushed } from '../../db/queries/checkpoints.ts';
import type { CheckpointRow } from '../../db/queries/checkpoints.ts';
import type { Session } from '../../db/schema.ts';
import { AppError } from '../../errors.ts';
import { isCheckpointRef } from '../git/names.ts';
import { pushCheckpoint, remoteBranches } from '../git/push.ts';
import { withoutAllowed } from '../git/secret-allowances.ts';
import { scanForSecrets } from '../git/secrets.ts';
import { isReachable } from '../git/tip.ts';
import { remoteFor } from './access.ts';
import type { CheckpointDeps } from './deps.ts';
import { withFolder } from './scratch.ts';

export type PushWork = {
  /** A git directory that holds the checkpoint. */
  gitDir: string;
  ref: string;
  commit: string;
  /** Remotes that the worktree names. */
  remotes: readonly { name: string; url: string }[];
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
  const remote = await remoteFor(deps, session, url);
  const base = { privateDir, remote, signal };
  // Also what a process pushed that died before it could note it.
  const branches = await remoteBranches(base);
  const kept = await secretsIn(deps, work, branches, signal);
  if (kept.length > 0) return kept;
  const expected = branches.get(ref) ?? null;
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

/** @param branches what the remote has, by its own word: only what is new to it is searched */
async function secretsIn(
  deps: CheckpointDeps,
  { gitDir: privateDir, commit }: PushWork,
  branches: ReadonlyMap<string, string>,
  signal: AbortSignal,
): Promise<string[]> {
  const common = { privateDir, commit, signal };
  const haves = [...new Set(branches.values())];
  const scan = await scanForSecrets({ ...common, haves });
  const landed = [...branches].flatMap(([ref, oid]) => (isCheckpointRef(ref) ? [] : [oid]));
  const findings = await withFolder(deps.places.scratch, (scratch) =>
    withoutAllowed(scan.findings, { ...common, landed, allowances: deps.secrets, scratch }),
  );
  const named = findings
    .slice(0, MAX_NAMED)
    .map(({ path, rule }) => `Not pushed: a secret (${rule}) in ${path}.`);
  const more = findings.length - named.length;
  if (more > 0) named.push(`Not pushed: ${more} more secrets.`);
  if (!scan.complete)
    named.push('Not pushed: there was too much text to search it all for secrets.');
  return named;
}
