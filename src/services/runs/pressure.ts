import type { Db } from '../../db/connect.ts';
import { countQueued, countUnfinished, findRunByKey } from '../../db/queries/runs.ts';
import type { RunKind } from '../../db/schema.ts';
import { AppError } from '../../errors.ts';

/** What waits in one queue is no reason to refuse what goes to another. */
const KINDS = {
  heartbeats: ['heartbeat'],
  sessions: ['checkpoint', 'resume', 'prune'],
} as const satisfies Record<string, RunKind[]>;

export type Pressure = {
  /** @throws AppError `overloaded` when more such work waits than the workers can take on. */
  check(what: keyof typeof KINDS): Promise<void>;
};

/**
 * Refuses new work before the queue drowns: an early "try again" beats a late time-out. The
 * number of queued runs is read at most once per `refreshMs`; between two reads, what this process
 * let in is added to it.
 */
export function createPressure(options: {
  db: Db;
  maxQueued: number;
  refreshMs: number;
  now: () => number;
}): Pressure {
  const checks = {
    heartbeats: createGauge(KINDS.heartbeats, options),
    sessions: createGauge(KINDS.sessions, options),
  };
  return { check: (what) => checks[what]() };
}

function createGauge(
  kinds: readonly RunKind[],
  { db, maxQueued, refreshMs, now }: Parameters<typeof createPressure>[0],
): () => Promise<void> {
  let queued = 0;
  let readAt = Number.NEGATIVE_INFINITY;
  let reading: Promise<void> | undefined;

  const refresh = async () => {
    queued = await countQueued(db, maxQueued + 1, [...kinds]);
    readAt = now();
  };

  return async () => {
    if (now() - readAt > refreshMs) {
      reading ??= refresh().finally(() => (reading = undefined));
      await reading;
    }
    if (queued >= maxQueued) {
      throw new AppError(
        'overloaded',
        `${queued} runs are waiting for a worker. Try again later; operators: start more workers.`,
        { transient: true, retryAfterSeconds: 5 },
      );
    }
    queued += 1;
  };
}

/**
 * How many unfinished runs of a kind are ahead of one more of this agent. A request that was accepted before
 * is let through whatever waits.
 *
 * @throws AppError `rate_limited` when there are `limit`
 */
export async function countAhead(
  db: Db,
  agent: { id: string; name: string },
  kind: RunKind,
  options: { limit: number; idempotencyKey: string | undefined },
): Promise<number> {
  const { limit, idempotencyKey: key } = options;
  const ahead = await countUnfinished(db, agent.id, kind, limit);
  if (ahead < limit) return ahead;
  if (key !== undefined && (await findRunByKey(db, agent.name, key))) return ahead;
  throw tooManyWait(agent.name, `${kind}s`, limit);
}

/** One agent's backlog is its own: others are let in all the same. */
export function tooManyWait(agentName: string, what: string, limit: number): AppError {
  return new AppError(
    'rate_limited',
    `${limit} ${what} of the agent "${agentName}" wait for a worker (DEFIB_MAX_QUEUED_PER_AGENT). Wait until some are done, then go on.`,
    { transient: true, retryAfterSeconds: 5 },
  );
}
