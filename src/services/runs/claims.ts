import { createBatcher } from '../../batch.ts';
import type { Db } from '../../db/connect.ts';
import {
  claimRuns,
  type FinishedRun,
  finishRuns,
  renewClaims,
} from '../../db/queries/run-claims.ts';
import type { Run } from '../../db/schema.ts';

export type Claim = {
  run: Run;
  /** Aborts when the claim is lost: another worker may have the run, so stop. */
  signal: AbortSignal;
  release(): void;
};

export type Claims = {
  /** Undefined where another worker has the run, or it is finished. */
  claim(runId: string): Promise<Claim | undefined>;
  /** Writes a result. Undefined where the claim is no longer the newest: another result stands. */
  finish(result: FinishedRun): Promise<Run | undefined>;
  /** Renews what this process holds; aborts what it lost. Called by the timer, and by tests. */
  renew(): Promise<void>;
  close(): void;
};

const MAX_BATCH = 64;

/** A run whose worker died this many times is given up. */
export const MAX_DEATHS = 3;

/** Holds this process's claims on runs and keeps their leases alive in one statement for all. */
export function createClaims(options: {
  db: Db;
  /** Names this process. */
  holder: string;
  leaseSeconds: number;
  renewMs: number;
  onError: (error: unknown) => void;
}): Claims {
  const { db, holder, leaseSeconds } = options;
  const held = new Map<string, AbortController>();
  const claimRow = createBatcher({
    max: MAX_BATCH,
    send: async (ids: string[]) => {
      const runs = await claimRuns(db, { ids, holder, leaseSeconds, maxDeaths: MAX_DEATHS });
      const byId = new Map(runs.map((run) => [run.id, run]));
      return ids.map((id) => byId.get(id));
    },
  });

  const renew = async () => {
    if (held.size === 0) return;
    const before = new Map(held);
    const kept = new Set(await renewClaims(db, { ids: [...before.keys()], holder, leaseSeconds }));
    for (const [id, controller] of before) {
      if (!kept.has(id) && held.get(id) === controller) controller.abort(new Error('claim lost'));
    }
  };
  const timer = setInterval(() => void renew().catch(options.onError), options.renewMs);
  timer.unref();

  return {
    claim: async (runId) => {
      const run = await claimRow(runId);
      if (!run) return undefined;
      const controller = new AbortController();
      held.set(runId, controller);
      const release = () => {
        if (held.get(runId) === controller) held.delete(runId);
      };
      return { run, signal: controller.signal, release };
    },
    finish: createBatcher({ max: MAX_BATCH, send: (results) => finishRuns(db, results) }),
    renew,
    close: () => clearInterval(timer),
  };
}
