import { setTimeout as delay } from 'node:timers/promises';
import { takeLabels, takeWriteTurn } from '../../db/queries/label-queue.ts';
import type { LabelWriterDeps } from './settings.ts';
import { writeTaken } from './write-issue.ts';

/**
 * Writes the labels that wait in Postgres, one after another, at the pace that all processes share.
 * It belongs to the process and not to a heartbeat: one that has gone on keeps no place and cuts
 * nothing off. Whoever opens it closes it.
 */
export type LabelWriter = {
  /** Begins to write unless it does already. */
  wake(): void;
  /**
   * Resolves when the labels of these claims were tried, or there is nothing that could be written
   * now, or `signal` aborts. Never rejects.
   */
  tried(claimIds: string[], signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
};

type Listener = (claimId: string | undefined) => void;

export function createLabelWriter(deps: LabelWriterDeps): LabelWriter {
  const closing = new AbortController();
  const listeners = new Set<Listener>();
  let work: Promise<void> | undefined;
  let wokenAgain = false;

  const tell = (claimId: string | undefined) => listeners.forEach((listener) => listener(claimId));

  async function writeAll(): Promise<void> {
    do {
      wokenAgain = false;
      await drain(deps, closing.signal, tell);
    } while (wokenAgain && !closing.signal.aborted);
  }

  function wake(): void {
    wokenAgain = true;
    work ??= writeAll()
      .catch((error: unknown) => {
        if (!closing.signal.aborted) deps.log.error({ err: error }, 'writing labels failed');
      })
      .finally(() => {
        work = undefined;
        tell(undefined);
      });
  }

  return {
    wake,
    tried(claimIds, signal) {
      const left = new Set(claimIds);
      const done = Promise.withResolvers<void>();
      const listener: Listener = (claimId) => {
        if (claimId === undefined) left.clear();
        else left.delete(claimId);
        if (left.size === 0) done.resolve();
      };
      const onAbort = () => done.resolve();
      if (left.size === 0 || !work || signal.aborted) done.resolve();
      listeners.add(listener);
      signal.addEventListener('abort', onAbort, { once: true });
      return done.promise.finally(() => {
        listeners.delete(listener);
        signal.removeEventListener('abort', onAbort);
      });
    },
    async close() {
      closing.abort(new Error('the process is closing'));
      await work;
    },
  };
}

/** Writes until nothing is left that could be written now. */
async function drain(
  deps: LabelWriterDeps,
  signal: AbortSignal,
  tell: (claimId: string) => void,
): Promise<void> {
  const { db, settings } = deps;
  while (!signal.aborted) {
    const taken = await takeLabels(db, settings.labelLeaseSeconds);
    if (!taken) return;
    const outcome = await writeTaken(deps, taken, { signal, turn: () => turn(deps, signal) });
    tell(taken.row.claimId);
    // With these credentials the next write would fare no better.
    if (outcome === 'stopped') return;
  }
}

/** Waits until one more write may be made with the credentials, by this process or another. */
async function turn({ db, forge, settings }: LabelWriterDeps, signal: AbortSignal): Promise<void> {
  const { credential } = forge;
  const seconds = settings.writeIntervalMs / 1000;
  for (;;) {
    signal.throwIfAborted();
    const waitMs = await takeWriteTurn(db, { credential, seconds });
    if (waitMs === 0) return;
    await delay(Math.min(waitMs, settings.writeIntervalMs), undefined, { signal });
  }
}
