import { setImmediate as nextTurn } from 'node:timers/promises';

/**
 * Gathers calls into batches: those of one turn of the event loop go together, and those that come
 * while a batch is under way go together in the next. One caller waits for nothing but the turn; a
 * crowd shares round trips and commits.
 *
 * `send` answers with one result per item, in their order. When a batch fails, its items are sent
 * one by one, so that one bad item does not fail its neighbours: `send` must be safe to repeat.
 */
export function createBatcher<Item, Result>(options: {
  max: number;
  send: (items: Item[]) => Promise<Result[]>;
}): (item: Item) => Promise<Result> {
  type Entry = { item: Item; resolve: (result: Result) => void; reject: (error: unknown) => void };
  let queued: Entry[] = [];
  let sending = false;

  const sendOne = async (entry: Entry) => {
    try {
      entry.resolve(only(await options.send([entry.item])));
    } catch (error) {
      entry.reject(error);
    }
  };

  const sendBatch = async (batch: Entry[]) => {
    if (batch.length === 1) return sendOne(only(batch));
    try {
      const results = await options.send(batch.map(({ item }) => item));
      batch.forEach((entry, index) => entry.resolve(results[index] as Result));
    } catch {
      await Promise.all(batch.map(sendOne));
    }
  };

  const drain = async () => {
    if (sending) return;
    sending = true;
    while (queued.length > 0) {
      await nextTurn();
      const batch = queued.slice(0, options.max);
      queued = queued.slice(options.max);
      await sendBatch(batch);
    }
    sending = false;
  };

  return (item) =>
    new Promise((resolve, reject) => {
      queued.push({ item, resolve, reject });
      void drain();
    });
}

function only<T>(items: T[]): T {
  return items[0] as T;
}
