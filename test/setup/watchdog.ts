import { monitorEventLoopDelay } from 'node:perf_hooks';

/** How long the event loop stood still at worst while `work` was done, in milliseconds. */
export async function stoodStill(work: () => Promise<unknown>): Promise<number> {
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  try {
    await work();
    // What stood still until now is noted by the next tick of the monitor.
    await new Promise((resolve) => setTimeout(resolve, 20));
  } finally {
    delay.disable();
  }
  return delay.max / 1e6;
}

/** Far more than what a harmless request of the same size costs here, on however busy a machine. */
export const farMoreThan = (floorMs: number): number => Math.max(20 * floorMs, 1500);
