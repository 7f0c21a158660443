import type { Status } from '../../contract/status.ts';
import type { Db } from '../../db/connect.ts';
import {
  countSessions,
  type Flagged,
  listFlagged,
  listHostStates,
  listUnclaimed,
  type SessionCount,
} from '../../db/queries/status.ts';
import { firstIdAt } from '../ids.ts';

const DAY_MS = 24 * 3600 * 1000;
const MAX_LISTED = 100;

/** @param now milliseconds since 1970 */
export async function readStatus(db: Db, now: number): Promise<Status> {
  const [hosts, counts, waiting, flagged] = await Promise.all([
    listHostStates(db),
    countSessions(db, firstIdAt(now - DAY_MS)),
    listUnclaimed(db, { olderThanSeconds: 0, limit: MAX_LISTED }),
    listFlagged(db, MAX_LISTED),
  ]);
  return {
    hosts: hosts.map(({ host, live, seenAt }) => ({
      host,
      live,
      lastSeenAt: seenAt.toISOString(),
    })),
    sessions: {
      byStatus: sumBy(counts, ({ status }) => status),
      byEndReason: sumBy(counts, ({ endReason }) => endReason),
    },
    waiting: waiting.map(({ id, agentName, since }) => ({
      sessionId: id,
      agentName,
      since: since.toISOString(),
      verb: 'resume',
    })),
    needsAttention: flagged.map((one) => ({
      sessionId: one.id,
      agentName: one.agentName,
      reason: reasonOf(one),
      verb: 'retry',
    })),
    results: [],
  };
}

function sumBy(
  counts: SessionCount[],
  keyOf: (one: SessionCount) => string | null,
): Record<string, number> {
  const sums = new Map<string, number>();
  for (const one of counts) {
    const key = keyOf(one);
    if (key !== null) sums.set(key, (sums.get(key) ?? 0) + one.count);
  }
  return Object.fromEntries([...sums].sort(([a], [b]) => a.localeCompare(b)));
}

function reasonOf({ attempt, endReason, spawnError }: Flagged): string {
  const attempts = attempt === 1 ? '1 attempt' : `${attempt} attempts`;
  const why = spawnError === null ? '' : `: ${spawnError}`;
  return `${attempts}, the last ended by ${endReason ?? 'an unknown reason'}${why}`;
}
