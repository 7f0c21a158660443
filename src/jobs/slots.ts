/**
 * A worker's places for jobs. Who only waits for something leaves its place to the next job and goes on without
 * one. The queue then takes the job for done: what still runs is held by its claim in Postgres, as always.
 */
export type Slots = {
  /** Resolves when the work is done, or has left its place. */
  use(work: (leave: () => void) => Promise<void>): Promise<void>;
  /** Resolves when nothing is under way, also of what has left its place. */
  idle(): Promise<void>;
};

export function createSlots(onError: (error: unknown) => void): Slots {
  const under = new Set<Promise<void>>();
  return {
    use: async (work) => {
      const left = Promise.withResolvers<'left'>();
      const done = work(() => left.resolve('left'));
      const settled = done.catch(() => undefined).finally(() => under.delete(settled));
      under.add(settled);
      if ((await Promise.race([done, left.promise])) === 'left') done.catch(onError);
    },
    idle: async () => {
      while (under.size > 0) await Promise.all(under);
    },
  };
}

/** Lets at most `max` pieces of work of one agent go on at once; the others wait without a place. */
export type Gate = {
  /** False: the same run waits already, or the gate was closed. Otherwise `pass` is to be called in the end. */
  enter(run: { id: string; agentName: string }, leave: () => void): Promise<boolean>;
  pass(agentName: string): void;
  /** Turns away who waits. */
  close(): void;
};

export function createGate(max: number): Gate {
  const inside = new Map<string, number>();
  const outside = new Map<string, Map<string, (mayEnter: boolean) => void>>();
  let closed = false;
  return {
    enter: async ({ id, agentName }, leave) => {
      if (closed) return false;
      const count = inside.get(agentName) ?? 0;
      if (count < max) {
        inside.set(agentName, count + 1);
        return true;
      }
      const waiting = outside.get(agentName) ?? new Map<string, (mayEnter: boolean) => void>();
      if (waiting.has(id)) return false;
      outside.set(agentName, waiting);
      leave();
      return await new Promise<boolean>((turn) => waiting.set(id, turn));
    },
    pass: (agentName) => {
      const waiting = outside.get(agentName);
      const [next] = waiting ?? [];
      if (next) {
        const [id, turn] = next;
        waiting?.delete(id);
        // The place inside is handed on.
        turn(true);
        return;
      }
      outside.delete(agentName);
      const left = (inside.get(agentName) ?? 1) - 1;
      if (left > 0) inside.set(agentName, left);
      else inside.delete(agentName);
    },
    close: () => {
      closed = true;
      for (const waiting of outside.values()) for (const turn of waiting.values()) turn(false);
      outside.clear();
    },
  };
}
