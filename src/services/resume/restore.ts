import { lstat, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { findBundleOf } from '../../db/queries/bundles.ts';
import { type CheckpointRow, findCheckpoint, findWork } from '../../db/queries/checkpoints.ts';
import { noteRestored } from '../../db/queries/session-resume.ts';
import { findSession } from '../../db/queries/sessions.ts';
import type { RestoreOutcome, Session } from '../../db/schema.ts';
import { AppError, type ErrorCode } from '../../errors.ts';
import { restore } from '../git/restore/restore.ts';
import type { Restored, RestoreOptions } from '../git/restore/types.ts';
import { isHere } from '../checkpoints/capture.ts';
import { requireOwn } from '../checkpoints/ownership.ts';
import { privateDirOf } from '../checkpoints/places.ts';
import { loadBundle } from '../checkpoints/store.ts';
import { giveTo } from '../spawners/user.ts';
import type { ResumePass, ResumeStep } from './pass.ts';

/** Puts the saved work into a new worktree, checked against the checkpoint's fingerprint. */
export const restoreStep: ResumeStep = {
  name: 'restore worktree',
  level: 'critical',
  timeoutMs: 5 * 60_000,
  run: async (pass, signal) => {
    const { deps } = pass;
    if (!pass.successor) return { skipped: true };
    // Saving what was left may have given it a newer checkpoint to go on from.
    pass.successor = await findSession(deps.db, pass.successor.id);
    const { successor } = pass;
    if (!successor) throw new AppError('not_found', 'The session is no longer there.');
    const id = successor.latest_checkpoint_id;
    pass.from = id === null ? undefined : await findCheckpoint(deps.db, id);
    if (pass.takeover) return { summary: 'left to the supervisor that goes on' };
    // Made again after a worker died: what is in its place is not touched.
    if (successor.restored) return { skipped: true };
    const outcome = await restoreFor(pass, successor, signal);
    if (outcome.ok) {
      await requireOwn(deps, successor, outcome.worktree);
      if (deps.spawnUser) await giveTo(deps.spawnUser, outcome.worktree);
    }
    const prepared = { id: successor.id, checkpointId: pass.from?.id ?? null };
    if (!(await noteRestored(deps.db, prepared, outcome, deps.host))) {
      if (outcome.ok) await rm(outcome.worktree, { recursive: true, force: true });
      throw new AppError(
        'unavailable',
        'The session was taken up, or got a newer checkpoint, while this one was restored.',
        { transient: true },
      );
    }
    return outcome.ok
      ? { summary: `restored it to ${outcome.worktree}`, warnings: outcome.warnings }
      : { warnings: [outcome.reason] };
  },
};

async function restoreFor(
  pass: ResumePass,
  successor: Session,
  signal: AbortSignal,
): Promise<RestoreOutcome> {
  const { deps, predecessor } = pass;
  // Reasoning may have been saved after the last files were.
  const from = pass.from && (await findWork(deps.db, pass.from));
  if (!from) {
    const lost = predecessor?.worktree ? ' Its worktree could not be saved.' : '';
    return { ok: false, reason: `No files of the last attempt were saved.${lost}` };
  }
  const origin = await findSession(deps.db, from.session_id);
  if (!origin) return { ok: false, reason: 'The session of the checkpoint is no longer there.' };
  if (pass.spawner.type !== 'command' && !isHere(deps, origin)) {
    const where = `the work of session ${origin.id} is on host "${origin.host}"`;
    return {
      ok: false,
      reason: `Not restored here: ${where}. Restore it where the agent works: defib restore ${successor.id}`,
    };
  }
  const target = await freeTarget(pass, successor);
  const restored = await restoreFromAny(pass, origin, from, target, signal);
  return {
    ok: true,
    worktree: restored.worktree,
    checkpointId: from.id,
    warnings: restored.warnings,
  };
}

/** A folder that no other try uses, also not one whose worker came back from the dead. */
async function freeTarget({ deps, run }: ResumePass, successor: Session): Promise<string> {
  const plain = join(deps.places.worktrees, successor.id);
  const taken = await lstat(plain).catch(() => null);
  return taken ? `${plain}.${run.id.slice(-6)}.${run.epoch}` : plain;
}

/** From what is at hand on this machine, or else from what is stored. */
async function restoreFromAny(
  pass: ResumePass,
  origin: Session,
  from: CheckpointRow,
  target: string,
  signal: AbortSignal,
): Promise<Restored> {
  const { deps, folder } = pass;
  // What a bundle builds on was fetched into a repository of ours.
  const policy = { ...deps.policy, roots: [...deps.policy.roots, deps.places.mirrors] };
  const options = { target, commit: from.commit ?? '', policy, signal };
  const failures: AppError[] = [];
  const attempt = async (source: RestoreOptions['from']): Promise<Restored | undefined> => {
    try {
      return await restore({ ...options, from: source });
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      failures.push(error);
      return undefined;
    }
  };
  if (isHere(deps, origin) && origin.worktree !== null) {
    const privateDir = privateDirOf(deps.places, origin.id);
    const local = await attempt({ worktree: origin.worktree, privateDir });
    if (local) return local;
  }
  const stored = await findBundleOf(deps.db, from);
  if (stored) {
    const source = await loadBundle(deps, stored, {
      session: origin,
      folder,
      baseUrl: from.base_url,
      signal,
    });
    const remote = await attempt(source);
    if (remote) return remote;
  }
  throw refused(from, failures);
}

/** What was saved is not what is there, or no more: trying again cannot help. */
export const isWrong = ({ code }: { code?: ErrorCode }): boolean =>
  code === 'conflict' || code === 'invalid';

function refused(from: CheckpointRow, failures: AppError[]): AppError {
  // What is there and wrong says more than what is not there.
  const wrong = failures.find(isWrong) ?? failures[0];
  const why = failures.map(({ message }) => message).join(' ');
  return new AppError(
    wrong?.code ?? 'not_found',
    `Checkpoint ${from.number} could not be restored. ${why || 'It is only in a worktree that is gone.'}`,
    { transient: failures.every(({ transient }) => transient) },
  );
}
