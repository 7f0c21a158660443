import { setTimeout as pause } from 'node:timers/promises';

/** Long enough for a process to start on a machine that has ten other things to do. */
const PATIENCE_MS = 120_000;

/**
 * Waits until `condition` gives something truthy, and returns it. Fails with what it was waiting
 * for when that does not come within `timeoutMs`.
 */
export async function until<T>(
  what: string,
  condition: () => Promise<T> | T,
  timeoutMs = PATIENCE_MS,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await pause(20);
  }
}
