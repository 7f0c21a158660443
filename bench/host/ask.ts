import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Command, Reply } from './protocol.ts';

export type Ask = (command: Command, deadlineMs: number) => Promise<unknown>;

/**
 * Commands to a child, one at a time. Rejects with the child's own error, when it ends, when it is
 * late, and as soon as `interrupt` aborts.
 */
export function createAsk(name: string, child: ChildProcess, interrupt: AbortSignal): Ask {
  let errors = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-4_000);
  });
  return async (command, deadlineMs) => {
    const answered = new AbortController();
    const signal = AbortSignal.any([interrupt, answered.signal, AbortSignal.timeout(deadlineMs)]);
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
}

async function gone(child: ChildProcess, signal: AbortSignal): Promise<never> {
  await once(child, 'exit', { signal });
  throw new Error('The process ended.');
}
