import type { Status } from '../../contract/status.ts';
import type { Db } from '../../db/connect.ts';
import {
  countSessions,
  type Flagged,
  listFlagged,
  listHostStates,
  listWaiting,
  type SessionCount,
} from '../../db/queries/status.ts';
import { listKeptResults, type ResultWork } from '../../db/queries/session-results.ts';
import { findWaits } from '../../db/queries/session-waits.ts';
import { firstIdAt } from '../ids.ts';
import { causeOf } from '../sessions/cause.ts';
import type { SessionSettings } from '../sessions/settings.ts';
import { isOpen, stateOf, toResult } from '../sessions/result.ts';

const DAY_MS = 24 * 3600 * 1000;
const MAX_LISTED = 100;

/** @param now milliseconds since 1970 */
export async function readStatus(db: Db, settings: SessionSettings, now: number): Promise<Status> {
  const [hosts, counts, waiting, flagged, results] = await Promise.all([
    listHostStates(db),
    countSessions(db, firstIdAt(now - DAY_MS)),
    readWaiting(db, settings),
    listFlagged(db, MAX_LISTED),
    listKeptResults(db, MAX_LISTED),
  ]);
  return {
    hosts: hosts.map(({ host, live, seenAt }) => ({
      host,
      live,
      lastSeenAt: seenAt.toISOString(),
    })),
    sessions: {
      byStatus: sumBy(counts, ({ status }) => status),
      byCause: sumBy(counts, causeOf),
    },
    waiting,
    needsAttention: flagged.map((one) => ({
      sessionId: one.id,
      agentName: one.agentName,
      reason: reasonOf(one),
      // One that is still tried waits for what is wrong to be fixed.
      verb: one.status === 'pending' ? 'show' : 'retry',
    })),
    results: results.filter(isOpen).map(toStatus),
  };
}

async function readWaiting(db: Db, settings: SessionSettings): Promise<Status['waiting']> {
  const waiting = await listWaiting(db, MAX_LISTED);
  const waits = await findWaits(
    db,
    waiting.map(({ id }) => id),
    settings,
  );
  const waitOf = new Map(waits.map((wait) => [wait.id, wait]));
  return waiting.flatMap(({ id, agentName, since }) => {
    const wait = waitOf.get(id);
    // It went on between the two.
    if (!wait) return [];
    return [
      {
        sessionId: id,
        agentName,
        for: wait.for,
        since: since.toISOString(),
        until: wait.until?.toISOString() ?? null,
        verb: wait.for === 'claim' ? 'resume' : null,
      },
    ];
  });
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

function toStatus(work: ResultWork): Status['results'][number] {
  const { host, worktree, branch, head, filesChanged, keptUntil } = toResult(work);
  const state = stateOf(work) === 'committed' ? 'committed' : 'uncommitted';
  const place = { host, worktree, branch, head, filesChanged, keptUntil };
  return { sessionId: work.id, agentName: work.agentName, state, ...place };
}

function reasonOf({ attempt, status, endReason, spawnError }: Flagged): string {
  if (status === 'pending')
    return `attempt ${attempt} cannot be started: ${spawnError ?? 'unknown'}`;
  const attempts = attempt === 1 ? '1 attempt' : `${attempt} attempts`;
  const why = spawnError === null ? '' : `: ${spawnError}`;
  return `${attempts}, the last ended by ${endReason ?? 'an unknown reason'}${why}`;
}
