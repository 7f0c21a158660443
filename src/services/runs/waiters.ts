import type { Db } from '../../db/connect.ts';
import { findFinishedRuns } from '../../db/queries/runs.ts';
import type { Run } from '../../db/schema.ts';

export type WaitOptions = { timeoutMs: number; signal?: AbortSignal };

export type RunWaiters = {
  /** The finished run, or undefined when the time is over, the caller is gone, or we close. */
  wait(runId: string, options: WaitOptions): Promise<Run | undefined>;
  /** A hint that these runs may be finished. Wrong or lost hints are harmless. */
  wake(runIds: string[]): void;
  /** Answers those who wait for this run, with the row as the database returned it. */
  answer(run: Run): void;
  /** How many callers are held open. */
  count(): number;
  close(): void;
};

type Resolve = (run: Run | undefined) => void;

/**
 * Holds callers until their run is finished. The row is what answers them: a hint only makes it be
 * read sooner, and a poll behind the hints finds what they missed. All waiters of a process share
 * one read at a time, so that a thousand callers cost no more queries than one.
 */
export function createRunWaiters(options: {
  db: Db;
  pollMs: number;
  onError: (error: unknown) => void;
}): RunWaiters {
  const waiting = new Map<string, Set<Resolve>>();
  let dirty = new Set<string>();
  let reading = false;
  let closed = false;

  const settle = (runId: string, run: Run | undefined) => {
    const resolvers = waiting.get(runId);
    waiting.delete(runId);
    resolvers?.forEach((resolve) => resolve(run));
  };

  const read = async () => {
    if (reading) return;
    reading = true;
    try {
      while (dirty.size > 0) {
        const ids = [...dirty].filter((id) => waiting.has(id));
        dirty = new Set();
        if (ids.length === 0) continue;
        for (const run of await findFinishedRuns(options.db, ids)) settle(run.id, run);
      }
    } catch (error) {
      // The poll tries again: a database that is away for a moment costs the callers only time.
      options.onError(error);
    } finally {
      reading = false;
    }
  };

  const wake = (runIds: Iterable<string>) => {
    for (const id of runIds) if (waiting.has(id)) dirty.add(id);
    if (dirty.size > 0) void read();
  };

  const poll = setInterval(() => wake(waiting.keys()), options.pollMs);
  poll.unref();

  return {
    wait: (runId, { timeoutMs, signal }) =>
      new Promise((resolve) => {
        const timer = setTimeout(() => done(undefined), timeoutMs);
        const abort = () => done(undefined);
        const done: Resolve = (run) => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', abort);
          const resolvers = waiting.get(runId);
          resolvers?.delete(done);
          if (resolvers?.size === 0) waiting.delete(runId);
          resolve(run);
        };
        // A caller that came just before we closed must not be held: nothing would answer it.
        if (closed || signal?.aborted) return done(undefined);
        signal?.addEventListener('abort', abort);
        waiting.set(runId, (waiting.get(runId) ?? new Set()).add(done));
      }),
    wake,
    answer: (run) => settle(run.id, run),
    count: () => [...waiting.values()].reduce((sum, callers) => sum + callers.size, 0),
    close: () => {
      closed = true;
      clearInterval(poll);
      for (const id of waiting.keys()) settle(id, undefined);
    },
  };
}
