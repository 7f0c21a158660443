import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Contender, Context } from '../contenders/types.ts';
import type { Load } from '../measure/closed-loop.ts';
import type { Summary } from '../measure/stats.ts';
import { endOf } from '../servers/process.ts';
import { createAsk } from './ask.ts';

const CHILD = fileURLToPath(new URL('./child.ts', import.meta.url));
const START_MS = 60_000;
/** Longer than a start and the stop of any contender's own servers take. */
const STOP_MS = 75_000;

export type About = Pick<Contender, 'title' | 'access'>;

export type Host = {
  about: About;
  measure(load: Load, first: number): Promise<Summary>;
  /** Finished passes on record; undefined where a contender cannot say. */
  recorded(): Promise<number | undefined>;
  /** Serves the contender over HTTP on loopback; resolves to the port. */
  listen(token: string): Promise<number>;
  stop(): Promise<void>;
};

/**
 * Starts one contender in a process of its own. When `interrupt` aborts, whatever is being asked of
 * it rejects at once; stopping it stays with the caller.
 */
export async function openHost(
  name: string,
  context: Context,
  interrupt: AbortSignal,
): Promise<Host> {
  const child = fork(CHILD, [name], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  const ask = createAsk(name, child, interrupt);
  const stop = async (): Promise<void> => {
    if (child.connected) child.disconnect();
    await endOf(child, STOP_MS);
  };
  try {
    const about = (await ask({ kind: 'start', context }, START_MS)) as About;
    return {
      about,
      measure: async (load, first) =>
        (await ask({ kind: 'measure', load, first }, load.maxMs + 60_000)) as Summary,
      recorded: async () => (await ask({ kind: 'recorded' }, 10_000)) as number | undefined,
      listen: async (token) => (await ask({ kind: 'listen', token }, 10_000)) as number,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
