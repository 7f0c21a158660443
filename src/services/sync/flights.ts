/**
 * Syncs under way in this process. A sync is shared by every heartbeat that wants it and outlives
 * each of them: a repository with many issues needs longer than a heartbeat may wait. At most
 * `limit` run at once. Whoever opens flights closes them: that aborts what is under way and waits
 * until it ended.
 */
export type Flights = {
  /** Joins the flight of this key, or starts one. The promise never rejects. */
  join(key: string, fly: (signal: AbortSignal) => Promise<void>): Promise<void>;
  has(key: string): boolean;
  close(): Promise<void>;
};

export function createFlights(limit: number, onError: (error: unknown) => void): Flights {
  const flights = new Map<string, Promise<void>>();
  const waiting: (() => void)[] = [];
  const closing = new AbortController();
  let flying = 0;

  async function run(fly: (signal: AbortSignal) => Promise<void>): Promise<void> {
    // A place is handed on to whoever waits longest, so that nobody slips in between.
    if (flying >= limit) await new Promise<void>((turn) => waiting.push(turn));
    else flying += 1;
    try {
      if (!closing.signal.aborted) await fly(closing.signal);
    } catch (error) {
      onError(error);
    } finally {
      const next = waiting.shift();
      if (next) next();
      else flying -= 1;
    }
  }

  return {
    join(key, fly) {
      const known = flights.get(key);
      if (known) return known;
      const flight = run(fly).finally(() => flights.delete(key));
      flights.set(key, flight);
      return flight;
    },
    has: (key) => flights.has(key),
    async close() {
      closing.abort(new Error('the process is closing'));
      await Promise.all(flights.values());
    },
  };
}
