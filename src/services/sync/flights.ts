/**
 * Syncs under way in this process. A sync is shared by every heartbeat that wants it and outlives
 * each of them: a repository with many issues needs longer than a heartbeat may wait. At most
 * `limit` run at once, and beside them `slowLimit` of the slow ones: those that take long, or wait for
 * an answer that does not come, keep no place from the others. Whoever opens flights closes them:
 * that aborts what is under way and waits until it ended.
 */
export type Flights = {
  /** Joins the flight of this key, or starts one. The promise never rejects. */
  join(key: string, fly: Fly, options?: { slow: boolean }): Promise<void>;
  has(key: string): boolean;
  close(): Promise<void>;
};

/** Whether it is to go on: then among the slow ones, behind those that wait there. */
export type Fly = (signal: AbortSignal, lane: { slow: boolean }) => Promise<boolean | void>;

export function createFlights(
  limit: number,
  onError: (error: unknown) => void,
  slowLimit = 2,
): Flights {
  const flights = new Map<string, Promise<void>>();
  const closing = new AbortController();
  const quick = places(limit);
  const slow = places(slowLimit);

  async function run(fly: Fly, isSlow: boolean): Promise<void> {
    const lane = isSlow ? slow : quick;
    const turn = lane.enter();
    if (turn) await turn;
    let again: boolean | void = false;
    try {
      if (!closing.signal.aborted) again = await fly(closing.signal, { slow: isSlow });
    } catch (error) {
      onError(error);
    } finally {
      lane.leave();
    }
    if (again === true && !closing.signal.aborted) await run(fly, true);
  }

  return {
    join(key, fly, options = { slow: false }) {
      const known = flights.get(key);
      if (known) return known;
      const flight = run(fly, options.slow).finally(() => flights.delete(key));
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

/** A place is handed on to whoever waits longest, so that nobody slips in between. */
function places(limit: number) {
  const waiting: (() => void)[] = [];
  let taken = 0;
  return {
    /** A turn to wait for, or undefined where a place was free. */
    enter(): Promise<void> | undefined {
      if (taken >= limit) return new Promise<void>((turn) => waiting.push(turn));
      taken += 1;
      return undefined;
    },
    leave(): void {
      const next = waiting.shift();
      if (next) next();
      else taken -= 1;
    },
  };
}
