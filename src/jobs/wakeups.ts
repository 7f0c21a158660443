import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Run } from '../db/schema.ts';

/**
 * Tells the process that holds a caller open that the caller's run is finished. Only hints: what is
 * lost on the way is found by that process's poll.
 */
export type Wakeups = {
  /** `origin` is the instance that waits; null when it is not known. */
  publish(runId: string, origin: string | null): void;
  /** The same for a finished row at hand: callers of this process have it without another read. */
  answer(run: Run, origin: string | null): void;
  close(): Promise<void>;
};

export type WakeTransport = {
  send(origin: string, runIds: string[]): Promise<void>;
  close(): Promise<void>;
};

/**
 * Wakes waiters of this process directly and those of others through `transport`, many runs to a
 * message. One message is under way at a time; what gathers meanwhile goes with the next.
 */
export function createWakeups(options: {
  instance: string;
  wakeLocal: (runIds: string[]) => void;
  answerLocal: (run: Run) => void;
  transport: WakeTransport;
  onError: (error: unknown) => void;
}): Wakeups {
  const pending = new Map<string, string[]>();
  let sending: Promise<void> | undefined;

  const drain = async () => {
    // What finishes in one turn of the event loop is told in one message.
    await nextTurn();
    for (const [origin, runIds] of pending) {
      pending.delete(origin);
      await options.transport.send(origin, runIds).catch(options.onError);
    }
  };

  const tell = (runId: string, origin: string | null) => {
    if (origin === null || origin === options.instance) return;
    pending.set(origin, [...(pending.get(origin) ?? []), runId]);
    sending ??= drain().finally(() => (sending = undefined));
  };

  return {
    publish: (runId, origin) => {
      options.wakeLocal([runId]);
      tell(runId, origin);
    },
    answer: (run, origin) => {
      options.answerLocal(run);
      tell(run.id, origin);
    },
    close: async () => {
      await sending;
      await options.transport.close();
    },
  };
}
