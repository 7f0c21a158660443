import type { Db } from '../../db/connect.ts';
import { endDueSessions, flagSpent, insertSuccessors } from '../../db/queries/session-watch.ts';
import type { Log } from '../../log.ts';
import { newId } from '../ids.ts';
import type { SessionSettings } from './settings.ts';

export type WatchReport = { timedOut: number; resumed: number; needsAttention: number };

/**
 * One look of the timeout watch: ends sessions whose lease or deadline has passed, makes a pending
 * successor for each that may be resumed, and flags those whose budget is spent. Any number of
 * watches may look at once. Its cost follows what is due, not what exists.
 *
 * @param options.batch most sessions that each part takes; the rest is for the next look
 */
export async function watchSessions(options: {
  db: Db;
  log: Log;
  settings: SessionSettings;
  batch: number;
}): Promise<WatchReport> {
  const { db, log, settings, batch } = options;
  const ended = await endDueSessions(db, batch);
  for (const { id, agent_name, end_reason } of ended) {
    log.warn({ sessionId: id, agentName: agent_name, reason: end_reason }, 'session timed out');
  }
  const ids = Array.from({ length: batch }, newId);
  const successors = await insertSuccessors(db, ids, settings);
  for (const { id, resumedFrom, agentName } of successors) {
    log.info({ sessionId: id, resumedFrom, agentName }, 'session is to be resumed');
  }
  const spent = await flagSpent(db, { resumeBudget: settings.resumeBudget, limit: batch });
  for (const { id, agent_name, attempt } of spent) {
    log.error(
      { sessionId: id, agentName: agent_name, attempt },
      'session needs attention: its resume budget is spent',
    );
  }
  return { timedOut: ended.length, resumed: successors.length, needsAttention: spent.length };
}
