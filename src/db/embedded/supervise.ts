import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from './log.ts';
import { pickPort } from './port.ts';
import type { Server, ServerOptions } from './server.ts';
import { ServerFailure, launch } from './server.ts';

export type SupervisedServer = { port: number; stop(): Promise<void> };

/**
 * Starts the server and keeps it up until `stop`: one that dies (the kernel's out-of-memory killer,
 * for one) is started again on the same port, so that the service's pools find it again.
 *
 * @throws ServerFailure when the first start fails
 */
export async function superviseServer(
  options: Omit<ServerOptions, 'port'> & { port: number | undefined },
  log: Log,
): Promise<SupervisedServer> {
  let port = await pickPort(options.port);
  let server: Server | undefined;
  for (let tries = 1; server === undefined; tries += 1) {
    server = await launch({ ...options, port }).catch(async (error: unknown) => {
      if (!(error instanceof ServerFailure) || tries >= 20) throw error;
      // Somebody took the port since it was picked.
      if (error.tail.includes('could not bind')) port = await pickPort(undefined);
      // Processes of a server that was killed a moment ago still hold its memory.
      else if (error.tail.includes('is still in use')) await sleep(100);
      else throw error;
      return undefined;
    });
  }
  return keepUp(server, () => launch({ ...options, port }), port, log);
}

function keepUp(
  first: Server,
  again: () => Promise<Server>,
  port: number,
  log: Log,
): SupervisedServer {
  const stopping = new AbortController();
  let server = first;

  const watch = async () => {
    while (!stopping.signal.aborted) {
      await server.exited;
      for (let wait = 100; !stopping.signal.aborted; wait = Math.min(wait * 2, 10_000)) {
        log('warn', 'PostgreSQL died; starting it again', { pid: server.pid });
        const next = await again().catch((error: unknown) => {
          log('warn', `PostgreSQL does not start: ${String(error)}`);
          return undefined;
        });
        if (next !== undefined) {
          server = next;
          break;
        }
        await sleep(wait, undefined, { signal: stopping.signal }).catch(() => undefined);
      }
    }
  };
  const watching = watch();

  return {
    port,
    async stop() {
      stopping.abort();
      await server.stop();
      await watching;
      // A restart that was under way when we were told to stop.
      await server.stop();
    },
  };
}
