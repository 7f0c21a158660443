/**
 * Gathers calls into batches: the first is sent at once, those that come while it is under way
 * go together in the next. One caller waits for nothing; a crowd shares round trips.
 */
export function createBatcher<Item, Result>(options: {
  max: number;
  send: (items: Item[]) => Promise<Result[]>;
}): (item: Item) => Promise<Result> {
  type Entry = { item: Item; resolve: (result: Result) => void; reject: (error: unknown) => void };
  let queued: Entry[] = [];
  let sending = false;

  const send = async (batch: Entry[]) => {
    try {
      const results = await options.send(batch.map((entry) => entry.item));
      batch.forEach((entry, index) => entry.resolve(results[index] as Result));
    } catch (error) {
      batch.forEach((entry) => entry.reject(error));
    }
  };

  const drain = async () => {
    if (sending) return;
    sending = true;
    while (queued.length > 0) {
      const batch = queued.slice(0, options.max);
      queued = queued.slice(options.max);
      await send(batch);
    }
    sending = false;
  };

  return (item) =>
    new Promise((resolve, reject) => {
      queued.push({ item, resolve, reject });
      void drain();
    });
}
