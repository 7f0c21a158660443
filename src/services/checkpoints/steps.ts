import { attachBundle, findBundleOfCommit } from '../../db/queries/bundles.ts';
import {
  addCheckpointWarnings,
  findCheckpointOfRun,
  findLastWork,
  insertCheckpoint,
} from '../../db/queries/checkpoints.ts';
import { findAgentPolicy } from '../../db/queries/agents.ts';
import { findSession } from '../../db/queries/sessions.ts';
import { AppError } from '../../errors.ts';
import { newId } from '../ids.ts';
import { plural } from '../plural.ts';
import {
  baseRemoteOf,
  captureWorktree,
  isHere,
  moveBranch,
  type WorktreeCapture,
} from './capture.ts';
import { type Described, describeWork } from './describe.ts';
import { wasSent } from './keep.ts';
import { type CheckpointPass, type CheckpointStep, loadedSession } from './pass.ts';
import { pushBranch, type PushWork, targetOf } from './push.ts';
import { redactSaid, redactValuesOrWithhold } from './redact.ts';
import { storeBundle } from './store.ts';
import { type Uploaded, verifyUploaded } from './uploaded.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;

const loadSession: CheckpointStep = {
  name: 'load session',
  level: 'critical',
  timeoutMs: 10 * SECOND,
  run: async (pass) => {
    const { db } = pass.deps;
    pass.session = await findSession(db, pass.run.session_id ?? '');
    if (!pass.session) throw new AppError('not_found', 'The session is no longer there.');
    // Made again after a worker died: what is recorded stays, the rest is done.
    pass.checkpoint = await findCheckpointOfRun(db, pass.run.id);
    return {};
  },
};

const verifyBundle: CheckpointStep = {
  name: 'verify bundle',
  level: 'critical',
  timeoutMs: 5 * MINUTE,
  run: async (pass, signal) => {
    const { upload } = pass.run.input;
    if (!upload) return { skipped: true };
    const { folder } = pass;
    pass.uploaded = await verifyUploaded(pass.deps, loadedSession(pass), upload, {
      folder,
      signal,
    });
    return {};
  },
};

export const captureStep: CheckpointStep = {
  name: 'capture worktree',
  level: 'best-effort',
  timeoutMs: 2 * MINUTE,
  run: async (pass, signal) => {
    const session = loadedSession(pass);
    const { upload, capture } = pass.run.input;
    if (upload || capture === false || session.worktree === null) return { skipped: true };
    try {
      if (!isHere(pass.deps, session)) throw elsewhere(pass);
      pass.taken = await captureWorktree(pass.deps, session, signal);
    } catch (error) {
      if (error instanceof AppError) pass.failure = error;
      throw error;
    }
    const { notCaptured, warnings } = pass.taken.capture;
    const left = notCaptured.filter(({ reason }) => !isIgnored(reason)).length;
    return {
      warnings: [...warnings, ...(left > 0 ? [`${plural(left, 'path')} not captured`] : [])],
    };
  },
};

/** Left out because the user said so, or as what stays with a clone: the checkpoint names it, and nobody need be warned. */
const isIgnored = (reason: string): boolean => /^(?:ignored|not_carried)(?::|$)/.test(reason);

function elsewhere({ deps, session }: CheckpointPass): AppError {
  return new AppError(
    'unavailable',
    `The worktree is on host "${session?.host}", where no worker runs (this is "${deps.host}"). Start a worker there, or send a bundle with the checkpoint.`,
  );
}

export const moveStep: CheckpointStep = {
  name: 'move branch',
  level: 'best-effort',
  timeoutMs: 2 * MINUTE,
  run: async (pass, signal) => {
    if (!pass.taken || pass.checkpoint) return { skipped: true };
    try {
      await moveOrFollow(pass, pass.taken, MOVE_TRIES, signal);
    } catch (error) {
      if (error instanceof AppError) pass.failure = error;
      throw error;
    }
    pass.moved = true;
    return {};
  },
};

const MOVE_TRIES = 3;

/** Where another worker of this host moved the branch since the capture, that is followed. */
async function moveOrFollow(
  pass: CheckpointPass,
  taken: WorktreeCapture,
  tries: number,
  signal: AbortSignal,
): Promise<void> {
  const session = loadedSession(pass);
  try {
    await moveBranch(pass.deps, session, taken, signal);
  } catch (error) {
    const overtaken = error instanceof AppError && error.code === 'conflict' && taken.tip.isOurs;
    if (!overtaken || tries === 1) throw error;
    pass.taken = await captureWorktree(pass.deps, session, signal);
    await moveOrFollow(pass, pass.taken, tries - 1, signal);
  }
}

const recordCheckpoint: CheckpointStep = {
  name: 'record checkpoint',
  level: 'critical',
  timeoutMs: 30 * SECOND,
  run: async (pass, signal) => {
    const { failure, run } = pass;
    if (!pass.checkpoint && !pass.taken && !pass.uploaded && !run.input.reasoning) {
      // The service saves what it can of its own accord, and its warnings say why it could not.
      if (!wasSent(run)) return { summary: 'nothing to save' };
      throw (
        failure ?? new AppError('invalid', 'There is neither reasoning nor a worktree to save.')
      );
    }
    await record(pass, signal);
    const { number, files_changed: files } = pass.checkpoint ?? {};
    const what = files ? ` with ${plural(files, 'changed file')}` : '';
    return { summary: `saved checkpoint ${number}${what}` };
  },
};

/** Writes the checkpoint's row. Twice is harmless: a run makes one. */
export async function record(pass: CheckpointPass, signal: AbortSignal): Promise<void> {
  if (pass.checkpoint) return;
  const { deps, run } = pass;
  const session = loadedSession(pass);
  const { input } = run;
  const { agent_name: agent } = session;
  const seen = input.upload ?? pass.taken?.capture;
  const described = await workOf(pass, signal);
  // Names of files, folders and hosts are anybody's.
  const told = await redactValuesOrWithhold(
    {
      notCaptured: seen?.notCaptured ?? [],
      warnings: [...(seen?.warnings ?? []), ...missing(pass), ...(described?.warnings ?? [])],
    },
    { agent },
  );
  const checkpoint = {
    id: newId(),
    sessionId: session.id,
    runId: run.id,
    trigger: input.trigger ?? session.status,
    turn: input.turn ?? null,
    reasoning: input.reasoning ?? null,
    work: described?.work ?? null,
    ...told,
    bundleId: input.upload?.bundleId ?? null,
    acceptedBy: input.upload?.triedBy ?? run.id,
    retentionDays: deps.retentionDays,
  };
  const made = await deps.db.transaction().execute((trx) => insertCheckpoint(trx, checkpoint));
  pass.checkpoint = made ?? (await findCheckpointOfRun(deps.db, run.id));
  if (!pass.checkpoint) throw new AppError('not_found', 'The session is no longer there.');
}

/** Why the checkpoint is less than it should be. */
function missing({ failure, run, session, taken }: CheckpointPass): string[] {
  if (failure) return [failure.message];
  const { upload, capture } = run.input;
  if (taken || upload || capture === false || !session?.worktree) return [];
  return [`The files were not captured: see the warnings of run ${run.id}.`];
}

async function workOf(pass: CheckpointPass, signal: AbortSignal): Promise<Described | null> {
  const { deps, uploaded, taken, moved, run } = pass;
  if (uploaded) {
    const baseUrl = run.input.upload?.baseUrl ?? null;
    const { gitDir, checkpoint } = uploaded;
    return await describeWork(checkpoint, { gitDir, local: false, baseUrl, signal });
  }
  if (run.input.capture === false) {
    const work = await findLastWork(deps.db, loadedSession(pass).id);
    return work ? { work, warnings: [] } : null;
  }
  if (!taken) return null;
  const { privateDir: gitDir, capture, checkpoint } = taken;
  if (!checkpoint) throw new AppError('internal', 'The checkpoint just made cannot be read.');
  const baseUrl = (await baseRemoteOf(deps, capture))?.url ?? null;
  return await describeWork(checkpoint, { gitDir, local: moved, baseUrl, signal });
}

export const storeStep: CheckpointStep = {
  name: 'store bundle',
  level: 'best-effort',
  timeoutMs: 5 * MINUTE,
  run: async (pass, signal) => {
    const { deps, checkpoint, taken, uploaded } = pass;
    if (!checkpoint?.commit) return { skipped: true };
    if (uploaded && checkpoint.bundle_id) {
      await attachBundle(deps.db, {
        checkpointId: checkpoint.id,
        bundleId: checkpoint.bundle_id,
        // One that was overtaken has a higher number than what is newer.
        holdsEarlier: !checkpoint.late && holdsEarlier(uploaded),
      });
      return {};
    }
    // Nothing changed since the last checkpoint: its bundle is this one's too.
    const same = await findBundleOfCommit(deps.db, checkpoint.session_id, checkpoint.commit);
    if (same !== undefined) {
      const shared = { checkpointId: checkpoint.id, bundleId: same, holdsEarlier: true };
      await attachBundle(deps.db, shared);
      return {};
    }
    if (!taken) return { skipped: true };
    return await kept(pass, () =>
      storeBundle(deps, loadedSession(pass), taken, checkpoint, signal),
    );
  },
};

/** A connected bundle holds every ancestor that it does not name as a prerequisite. */
function holdsEarlier({ checkpoint: { previous }, prerequisites }: Uploaded): boolean {
  return previous !== null && !prerequisites.includes(previous);
}

export const pushStep: CheckpointStep = {
  name: 'push branch',
  level: 'best-effort',
  timeoutMs: 3 * MINUTE,
  run: async (pass, signal) => {
    const { deps, checkpoint } = pass;
    const session = loadedSession(pass);
    // What is taken over from the last checkpoint was pushed with that.
    if (!checkpoint?.commit || pass.run.input.capture === false) return { skipped: true };
    const policy = await findAgentPolicy(deps.db, session.agent_id);
    const remote = policy?.checkpointRemote ?? deps.remote;
    if (remote === 'none') return { skipped: true };
    return await kept(pass, async () => {
      const work = pushWork(pass);
      const url = targetOf(remote, work.remotes);
      if (url === undefined) return;
      const reasons = await pushBranch(deps, session, checkpoint, { ...work, url }, signal);
      if (reasons.length > 0) throw new AppError('forbidden', reasons.join(' '));
    });
  },
};

function pushWork({ taken, uploaded, checkpoint }: CheckpointPass): PushWork {
  const commit = checkpoint?.commit ?? '';
  if (uploaded) {
    const { gitDir, ref, checkpoint: made } = uploaded;
    return { gitDir, ref, commit, remotes: made.state.remotes };
  }
  if (!taken) throw new AppError('unavailable', 'The checkpoint was not captured here.');
  return { gitDir: taken.privateDir, ref: taken.ref, commit, remotes: taken.capture.base.remotes };
}

/** What goes wrong after the checkpoint was recorded is told by the checkpoint too. */
async function kept(pass: CheckpointPass, work: () => Promise<void>) {
  try {
    await work();
    return {};
  } catch (error) {
    if (error instanceof AppError && pass.checkpoint) {
      await addCheckpointWarnings(pass.deps.db, pass.checkpoint.id, [
        await redactSaid(error.message, { agent: pass.session?.agent_name }),
      ]);
    }
    throw error;
  }
}

/** Saves what an agent sent, or what is in its worktree, and then makes it ever more durable. */
export const checkpointSteps: readonly CheckpointStep[] = [
  loadSession,
  verifyBundle,
  captureStep,
  moveStep,
  recordCheckpoint,
  storeStep,
  pushStep,
];
