import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { findAgentPolicy } from '../../db/queries/agents.ts';
import { findCheckpoint, findLastCommit } from '../../db/queries/checkpoints.ts';
import { PULL } from '../../db/queries/spawners.ts';
import { deferSpawn, markReady, startSpawn } from '../../db/queries/session-resume.ts';
import { findSession } from '../../db/queries/sessions.ts';
import type { Takeover } from '../../contract/takeover.ts';
import type { Session } from '../../db/schema.ts';
import { endMarked } from '../../end-processes.ts';
import { AppError } from '../../errors.ts';
import { carriersOf, markOf } from '../../process-list.ts';
import { isHere } from '../checkpoints/capture.ts';
import type { CheckpointStep } from '../checkpoints/pass.ts';
import { captureStep, moveStep, pushStep, record, storeStep } from '../checkpoints/steps.ts';
import { plural } from '../plural.ts';
import { continuationOf } from '../sessions/continuation.ts';
import { livingSupervisor } from '../spawners/supervisor-file.ts';
import { issueSessionToken } from '../tokens/session-token.ts';
import type { ResumeDeps } from './deps.ts';
import type { ResumePass, ResumeStep } from './pass.ts';
import { restoreStep } from './restore.ts';

const loadSession: ResumeStep = {
  name: 'load session',
  level: 'critical',
  timeoutMs: 10_000,
  run: async (pass) => {
    const { db } = pass.deps;
    const session = await findSession(db, pass.run.session_id ?? '');
    if (!session) throw new AppError('not_found', 'The session is no longer there.');
    const ours = session.status === 'starting' && session.spawn_run_id === pass.run.id;
    if (session.status !== 'pending' && !ours) {
      return { summary: `nothing to do: the session is ${session.status}` };
    }
    pass.successor = session;
    pass.spawner = (await findAgentPolicy(db, session.agent_id))?.spawner ?? PULL;
    if (session.resumed_from) pass.predecessor = await findSession(db, session.resumed_from);
    pass.saving.session = pass.predecessor;
    if (pass.spawner.type === 'pull') pass.takeover = await takeoverOf(pass.deps, session);
    return {};
  },
};

/** Once only: where that fails, the session waits for somebody to take it up. */
async function takeoverOf(
  deps: ResumeDeps,
  { takeover, spawn_error: failed, resumed_from: before }: Session,
): Promise<Takeover | null> {
  // Another user could not go on in a worktree of this one.
  if (takeover?.host !== deps.host || failed !== null || deps.spawnUser) return null;
  // One that only was silent, on a machine that slept, goes on itself.
  const folder = join(takeover.stateDir, 'sessions', before ?? '');
  return (await livingSupervisor(folder)) === undefined ? takeover : null;
}

const GRACE_MS = 10_000;

/** One agent at a time: what a dead supervisor has left alive would work beside the one that is started here. */
const endLeft: ResumeStep = {
  name: 'end what lives on',
  level: 'best-effort',
  timeoutMs: 30_000,
  run: async ({ deps, successor, predecessor, spawner, takeover }) => {
    const startsHere = takeover !== null || spawner.type === 'command';
    if (!successor || !predecessor || !startsHere) return { skipped: true };
    if (predecessor.status !== 'timed_out' || !isHere(deps, predecessor)) return { skipped: true };
    const marks = [markOf(predecessor.id)];
    const count = carriersOf(marks).length;
    if (count === 0) return { skipped: true };
    const left = await endMarked(marks, GRACE_MS);
    const summary = `ended ${count === 1 ? '1 process' : `${count} processes`} of the attempt before`;
    if (left.length === 0) return { summary };
    return { summary, warnings: [`These processes cannot be ended: ${left.join(', ')}.`] };
  },
};

/** A step of a checkpoint, on the attempt that ended; left out where it left nothing to save. */
const onPredecessor = (step: CheckpointStep): ResumeStep => ({
  ...step,
  run: async (pass, signal) => {
    const begun = pass.successor?.status === 'starting';
    if (!pass.saving.session || begun) return { skipped: true };
    return await step.run(pass.saving, signal);
  },
});

const pathsOf = (list: readonly { path: string }[]): string =>
  list
    .map(({ path }) => path)
    .toSorted()
    .join('\0');

/** What the last checkpoint has already, and names as left out, is not recorded again, if its branch is noted too. */
const recordChanges: CheckpointStep = {
  name: 'record checkpoint',
  level: 'best-effort',
  timeoutMs: 30_000,
  run: async (saving, signal) => {
    const { session, taken } = saving;
    if (!session || !taken) return { skipped: true };
    const { commit, notCaptured } = taken.capture;
    const last = await findLastCommit(saving.deps.db, session.id);
    const noted = !saving.moved || session.local_commit === commit;
    const told = last !== undefined && pathsOf(last.not_captured) === pathsOf(notCaptured);
    if (last?.commit === commit && noted && told) {
      // Whoever recorded it may have died before it was stored or pushed, and so may we.
      if (last.durability === 'local' || last.run_id === saving.run.id) {
        saving.checkpoint = await findCheckpoint(saving.deps.db, last.id);
      }
      return { skipped: true };
    }
    await record(saving, signal);
    const { number, files_changed: files } = saving.checkpoint ?? {};
    return { summary: `saved checkpoint ${number} with ${plural(files ?? 0, 'changed file')}` };
  },
};

const startAgent: ResumeStep = {
  name: 'start agent',
  level: 'critical',
  timeoutMs: 60_000,
  run: async (pass, signal) => {
    const { successor, deps, from, spawner, takeover } = pass;
    if (!successor) return { skipped: true };
    const prepared = { id: successor.id, checkpointId: from?.id ?? null };
    if (spawner.type === 'pull' && !takeover) {
      if (!(await markReady(deps.db, prepared))) return await notStarted(pass, successor);
      return { summary: 'waiting to be claimed' };
    }
    const type = takeover ? 'command' : spawner.type;
    const spawn = { runId: pass.run.id, host: deps.host, limit: deps.spawnLimit, type, spawner };
    const started = await deps.db.transaction().execute(async (trx) => {
      const session = await startSpawn(trx, prepared, spawn);
      return session && { session, token: await issueSessionToken(trx, session) };
    });
    if (!started) return await notStarted(pass, successor);
    const continuation = await continuationOf(deps.db, started.session);
    await start(pass, { ...started, continuation }, signal);
    return {
      summary: takeover ? 'started its command again' : `started its agent by ${spawner.type}`,
    };
  },
};

async function start(
  { deps, run, spawner, takeover }: ResumePass,
  started: { session: Session; token: string; continuation: string },
  signal: AbortSignal,
): Promise<void> {
  const request = { ...started, runId: run.id };
  if (takeover) return await deps.spawners.takeover(request, takeover);
  if (spawner.type === 'command') return await deps.spawners.command(request, spawner, signal);
  if (spawner.type === 'webhook') return await deps.spawners.webhook(request, spawner, signal);
}

/** A full host, a paused agent and a policy that was changed meanwhile are no failures: the session waits. */
async function notStarted(
  { deps, spawner, takeover }: ResumePass,
  { id, agent_id: agentId }: Session,
) {
  const now = (await findAgentPolicy(deps.db, agentId))?.spawner ?? PULL;
  const settled = isDeepStrictEqual(now, spawner);
  if (settled && spawner.type === 'pull' && !takeover) throw superseded();
  const waitingFor = settled ? `a place on host ${deps.host}` : null;
  if (!(await deferSpawn(deps.db, { id, waitingFor }))) throw superseded();
  return {
    summary: settled
      ? `waiting: host "${deps.host}" has as many agents as it may have, or the agent is paused`
      : "waiting: the agent's policy.spawner was changed",
  };
}

function superseded(): AppError {
  return new AppError(
    'conflict',
    'The session was taken up, or got a newer checkpoint, before its agent was started.',
  );
}

/** Saves what the dead left, puts it into a new worktree, and starts whoever goes on. */
export const resumeSteps: readonly ResumeStep[] = [
  loadSession,
  endLeft,
  onPredecessor(captureStep),
  onPredecessor(moveStep),
  onPredecessor(recordChanges),
  onPredecessor(storeStep),
  onPredecessor(pushStep),
  restoreStep,
  startAgent,
];
