import { setTimeout as pause } from 'node:timers/promises';

const LIMIT_MS = 60_000;

/** Asks until there is an answer, and gives up after a minute. */
export async function waitFor<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + LIMIT_MS;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > deadline) throw new Error(`waited for a minute until ${what}`);
    await pause(100);
  }
}
