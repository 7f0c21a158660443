export type FairQueue = {
  /** Does `work` when it is the owner's turn. */
  run<T>(owner: string, work: () => Promise<T>): Promise<T>;
};

/**
 * One piece of work at a time, and the owners of what waits take turns: whoever asks for one thing waits for
 * one thing of each other owner, however much those have asked for before.
 */
export function createFairQueue(): FairQueue {
  // In the order of their turns.
  const waiting = new Map<string, (() => Promise<void>)[]>();
  let working = false;

  const workOff = async () => {
    if (working) return;
    working = true;
    for (let [turn] = waiting; turn; [turn] = waiting) {
      const [owner, works] = turn;
      const work = works.shift();
      waiting.delete(owner);
      if (works.length > 0) waiting.set(owner, works);
      await work?.();
    }
    working = false;
  };

  return {
    run: (owner, work) =>
      new Promise((resolve, reject) => {
        const works = waiting.get(owner) ?? [];
        works.push(() => work().then(resolve, reject));
        waiting.set(owner, works);
        void workOff();
      }),
  };
}
