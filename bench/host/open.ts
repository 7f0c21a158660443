import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Context } from '../contenders/types.ts';
import type { Load } from '../measure/closed-loop.ts';
import type { Summary } from '../measure/stats.ts';
import { stopChild } from '../servers/process.ts';
import type { Command, Reply } from './protocol.ts';

const CHILD = fileURLToPath(new URL('./child.ts', import.meta.url));
const STOP_MS = 15_000;

export type Host = {
  measure(load: Load, first: number): Promise<Summary>;
  /** Finished passes on record; undefined where a contender cannot say. */
  recorded(): Promise<number | undefined>;
  /** Serves the contender over HTTP on loopback; resolves to the port. */
  listen(token: string): Promise<number>;
  stop(): Promise<void>;
};

/** Starts one contender in a process of its own. */
export async function openHost(name: string, context: Context, startMs: number): Promise<Host> {
  const child = fork(CHILD, [name], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  let errors = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-4_000);
  });
  const ask = async (command: Command, deadlineMs: number): Promise<unknown> => {
    const answered = new AbortController();
    const signal = AbortSignal.any([answered.signal, AbortSignal.timeout(deadlineMs)]);
    const told = Promise.race([once(child, 'message', { signal }), gone(child, signal)]);
    child.send(command);
    const [reply] = (await told
      .catch((error: unknown) => {
        throw new Error(`${name} did not answer "${command.kind}". ${errors}`, { cause: error });
      })
      .finally(() => answered.abort())) as [Reply];
    if ('error' in reply) throw new Error(`${name} failed at "${command.kind}": ${reply.error}`);
    return reply.value;
  };
  const stop = async (): Promise<void> => {
    if (child.connected) await ask({ kind: 'stop' }, STOP_MS).catch(() => undefined);
    await stopChild(child, 'SIGTERM', STOP_MS);
  };
  try {
    await ask({ kind: 'start', context }, startMs);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    measure: async (load, first) =>
      (await ask({ kind: 'measure', load, first }, load.maxMs + 60_000)) as Summary,
    recorded: async () => (await ask({ kind: 'recorded' }, 10_000)) as number | undefined,
    listen: async (token) => (await ask({ kind: 'listen', token }, 10_000)) as number,
    stop,
  };
}

async function gone(child: ReturnType<typeof fork>, signal: AbortSignal): Promise<never> {
  await once(child, 'exit', { signal });
  throw new Error('The process ended.');
}
