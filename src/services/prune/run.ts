import { rm } from 'node:fs/promises';
import {
  deleteBundles,
  findPrunable,
  noteLocalPruned,
  notePruned,
  noteRemotePruned,
} from '../../db/queries/session-prune.ts';
import type { RunResult } from '../../db/queries/run-claims.ts';
import type { Run, Session } from '../../db/schema.ts';
import { AppError } from '../../errors.ts';
import { remoteFor } from '../checkpoints/access.ts';
import { isHere } from '../checkpoints/capture.ts';
import type { CheckpointDeps } from '../checkpoints/deps.ts';
import { privateDirOf } from '../checkpoints/places.ts';
import { withScratch } from '../checkpoints/store.ts';
import { git } from '../git/git.ts';
import { isMissing } from '../git/repository.ts';
import { checkpointRef } from '../git/names.ts';
import { deleteLocalRef, deleteRemoteRef, type Pruned } from '../git/prune.ts';
import { plural } from '../plural.ts';
import { keepResult } from './keep-result.ts';
import { runSteps } from '../runs/run-steps.ts';
import type { Step, StepReport } from '../runs/step.ts';
import { summarize } from '../runs/summarize.ts';

type PrunePass = {
  deps: CheckpointDeps;
  run: Run;
  /** A folder that is gone after the pass. */
  folder: string;
  /** Undefined: the work may still be gone on from, and nothing is touched. */
  session: Session | undefined;
  /** The bundle with the result of the work, which is kept. */
  keptId: string | undefined;
};

const MINUTE = 60_000;

const loadSession: Step<PrunePass> = {
  name: 'load session',
  level: 'critical',
  timeoutMs: 10_000,
  run: async (pass) => {
    pass.session = await findPrunable(pass.deps.db, pass.run.session_id ?? '');
    return pass.session ? {} : { summary: 'nothing to do: the work is still gone on with' };
  },
};

const result: Step<PrunePass> = {
  name: 'keep result',
  // Without it, what is removed below may be the only copy.
  level: 'critical',
  timeoutMs: 5 * MINUTE,
  run: async (pass, signal) => {
    if (!pass.session) return { skipped: true };
    const kept = await keepResult(pass.deps, pass.session, signal);
    if (kept === undefined) return { skipped: true };
    if ('branch' in kept) {
      const { host } = pass.session;
      pass.session = undefined;
      const where = `in the branch ${kept.branch} on host "${host}" until it is brought home or dismissed`;
      return { warnings: [`The result could not be stored, and is kept ${where}. ${kept.reason}`] };
    }
    pass.keptId = kept.bundleId;
    return {};
  },
};

const localBranch: Step<PrunePass> = {
  name: 'local branch',
  level: 'best-effort',
  timeoutMs: MINUTE,
  run: async ({ deps, session }, signal) => {
    const commit = session?.local_commit;
    if (!session || !commit) return { skipped: true };
    if (!isHere(deps, session)) {
      throw new AppError(
        'unavailable',
        `The branch ${session.checkpoint_branch} is on host "${session.host}", where no worker runs. It is removed once one does.`,
      );
    }
    const ref = checkpointRef(session.agent_name, session.id);
    const own = { ref, commit };
    const pruned = await deleteLocalRef(session.worktree ?? '', deps.policy, own, signal).catch(
      goneWithItsWorktree,
    );
    await noteLocalPruned(deps.db, session.id, commit);
    return report(session, pruned, 'local');
  },
};

function goneWithItsWorktree(error: unknown): Pruned {
  if (isMissing(error)) return 'absent';
  throw error;
}

const remoteBranch: Step<PrunePass> = {
  name: 'remote branch',
  level: 'best-effort',
  timeoutMs: 3 * MINUTE,
  run: async ({ deps, session, folder }, signal) => {
    if (!session?.remote_commit || session.remote_url === null) return { skipped: true };
    const { remote_url: url, remote_commit: commit } = session;
    // Deleting needs a repository to push from, and nothing of what is in it.
    const format = commit.length === 64 ? 'sha256' : 'sha1';
    const init = ['init', '-q', '--bare', '--template=', `--object-format=${format}`, folder];
    await git(init, { cwd: folder, signal });
    const remote = await remoteFor(deps, session, url);
    const own = { ref: checkpointRef(session.agent_name, session.id), commit };
    const pruned = await deleteRemoteRef({ privateDir: folder, remote, signal }, own);
    await noteRemotePruned(deps.db, session.id, commit);
    return report(session, pruned, 'remote');
  },
};

function report(session: Session, pruned: Pruned, where: string): StepReport {
  const branch = session.checkpoint_branch;
  if (pruned === 'deleted') return { summary: `removed the ${where} branch ${branch}` };
  if (pruned === 'absent') return { summary: `the ${where} branch ${branch} was gone` };
  return {
    warnings: [`The ${where} branch ${branch} was moved by somebody else and was left alone.`],
  };
}

const storedBundles: Step<PrunePass> = {
  name: 'bundles',
  level: 'critical',
  timeoutMs: MINUTE,
  run: async ({ deps, session, keptId }) => {
    if (!session) return { skipped: true };
    const count = await deleteBundles(deps.db, session.id, keptId);
    return count > 0 ? { summary: `removed ${plural(count, 'bundle')}` } : { skipped: true };
  },
};

const privateDirectory: Step<PrunePass> = {
  name: 'private directory',
  level: 'critical',
  timeoutMs: MINUTE,
  run: async ({ deps, session }) => {
    if (!session) return { skipped: true };
    const now = await findPrunable(deps.db, session.id);
    if (!now || now.local_commit !== null || now.remote_commit !== null) return { skipped: true };
    await rm(privateDirOf(deps.places, session.id), { recursive: true, force: true });
    await notePruned(deps.db, session.id);
    return {};
  },
};

const pruneSteps: readonly Step<PrunePass>[] = [
  loadSession,
  result,
  localBranch,
  remoteBranch,
  storedBundles,
  privateDirectory,
];

/**
 * Removes what a session's checkpoints left, once nothing goes on from them: our branches where we
 * left them, bundles, the private git directory. The result of finished work that has not landed is kept. What fails is tried again by a later run.
 */
export async function runPrune(
  deps: CheckpointDeps,
  run: Run,
  signal: AbortSignal,
): Promise<RunResult> {
  return await withScratch(deps, async (folder) => {
    const pass: PrunePass = { deps, run, folder, session: undefined, keptId: undefined };
    const outcomes = await runSteps(pruneSteps, pass, signal);
    return { ...summarize(outcomes), nextHeartbeatSeconds: null };
  });
}
