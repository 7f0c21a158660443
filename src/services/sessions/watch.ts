import type { Db } from '../../db/connect.ts';
import type { Dispatch } from '../../db/queries/run-claims.ts';
import { schedulePrune, takeDuePrunes } from '../../db/queries/session-prune.ts';
import { takeSpawnDue } from '../../db/queries/session-resume.ts';
import { insertSessionRuns } from '../../db/queries/session-runs.ts';
import {
  endDueSessions,
  flagSpent,
  insertSuccessors,
  type Successor,
} from '../../db/queries/session-watch.ts';
import { renewAfterAbsence } from '../../db/queries/watch-passes.ts';
import type { Session } from '../../db/schema.ts';
import type { Log } from '../../log.ts';
import { newId } from '../ids.ts';
import { sessionRun } from './run.ts';
import type { SessionSettings } from './settings.ts';

export type WatchReport = {
  timedOut: number;
  resumed: number;
  needsAttention: number;
  /** Runs that were recorded and are to be handed to the queue. */
  runs: Dispatch[];
};

/**
 * One look of the timeout watch, as one transaction: ends sessions whose lease or deadline has
 * passed, makes a pending successor and its resume for each that may be resumed, has the work saved
 * of those that may not, tries again what did not come to life, flags what is spent, and has pruned
 * what is due. Any number of watches may look at once. After the service was away, leases run anew first. Its cost follows what is due, not what exists.
 *
 * @param options.batch most sessions that each part takes; the rest is for the next look
 */
export async function watchSessions(options: {
  db: Db;
  log: Log;
  settings: SessionSettings;
  batch: number;
}): Promise<WatchReport> {
  const { db, settings, batch } = options;
  const renewed = await renewAfterAbsence(db);
  if (renewed > 0) options.log.warn({ renewed }, 'leases run anew: the service was away');
  const found = await db.transaction().execute(async (trx) => {
    const ended = await endDueSessions(trx, batch);
    const ids = Array.from({ length: batch }, newId);
    const successors = await insertSuccessors(trx, ids, settings);
    const spent = await flagSpent(trx, { resumeBudget: settings.resumeBudget, limit: batch });
    const late = await takeSpawnDue(trx, { maxTries: settings.spawnTries, limit: batch });
    const prunes = await takeDuePrunes(trx, batch);
    const { checkpointRetentionDays: retentionDays } = settings;
    for (const { root_id: rootId } of [...spent, ...late.spent]) {
      await schedulePrune(trx, { rootId, succeeded: false, retentionDays });
    }
    const runs = await insertSessionRuns(trx, [
      ...successors.filter(({ reserved }) => !reserved).map(({ id }) => sessionRun('resume', id)),
      ...unsaved(ended, successors).map(({ id }) => sessionRun('checkpoint', id)),
      ...late.again.map((id) => sessionRun('resume', id)),
      ...prunes.map((id) => sessionRun('prune', id)),
    ]);
    return { ended, successors, spent, late, runs };
  });
  tell(options.log, found);
  return {
    timedOut: found.ended.length,
    resumed: found.successors.length,
    needsAttention: found.spent.length + found.late.spent.length,
    runs: found.runs,
  };
}

/** The resume of a successor saves what is left; without one, that is done now. */
function unsaved(ended: Session[], successors: Successor[]): Session[] {
  const resumed = new Set(successors.map(({ resumedFrom }) => resumedFrom));
  return ended.filter(({ id, worktree }) => worktree !== null && !resumed.has(id));
}

type Found = {
  ended: Session[];
  successors: Successor[];
  spent: Pick<Session, 'id' | 'agent_name' | 'attempt'>[];
  late: { spent: Pick<Session, 'id' | 'agent_name' | 'spawn_error'>[] };
};

function tell(log: Log, { ended, successors, spent, late }: Found): void {
  for (const { id, agent_name, end_reason } of ended) {
    log.warn({ sessionId: id, agentName: agent_name, reason: end_reason }, 'session timed out');
  }
  for (const { id, resumedFrom, agentName } of successors) {
    log.info({ sessionId: id, resumedFrom, agentName }, 'session is to be resumed');
  }
  for (const { id, agent_name, attempt } of spent) {
    log.error(
      { sessionId: id, agentName: agent_name, attempt },
      'session needs attention: its resume budget is spent',
    );
  }
  for (const { id, agent_name, spawn_error } of late.spent) {
    log.error(
      { sessionId: id, agentName: agent_name, reason: spawn_error },
      'session needs attention: it could not be started',
    );
  }
}
