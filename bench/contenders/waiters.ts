const LOST_MS = 20_000;

export type Waiters<T> = {
  /** Register before the work can finish. Rejects when no word came within 20 s. */
  expect(id: string): Promise<T>;
  settle(id: string, result: T): void;
};

/**
 * Callers that wait by id for a result that a worker of the same process brings, once it is
 * committed. The cheapest way to be told: no NOTIFY and no poll stands between.
 */
export function createWaiters<T>(): Waiters<T> {
  const waiting = new Map<string, (result: T) => void>();
  return {
    expect: (id) =>
      new Promise((resolve, reject) => {
        const lost = setTimeout(() => {
          waiting.delete(id);
          reject(new Error(`No word about ${id} within ${LOST_MS} ms.`));
        }, LOST_MS);
        waiting.set(id, (result) => {
          clearTimeout(lost);
          resolve(result);
        });
      }),
    settle: (id, result) => {
      waiting.get(id)?.(result);
      waiting.delete(id);
    },
  };
}
