import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../errors.ts';
import type { Log } from './log.ts';
import { pickPort } from './port.ts';
import { stopOrphan } from './postmaster.ts';
import type { Server, ServerOptions, StartFailure } from './server.ts';
import { launch, logFileOf } from './server.ts';

export type SupervisedServer = { port: number; stop(): Promise<void> };

type StartOptions = Omit<ServerOptions, 'port'> & { preferredPort: number | undefined };

/**
 * Starts the server and keeps it up until `stop`: one that dies (the kernel's out-of-memory killer,
 * for one) is started again on the same port, where the service's pools find it again.
 *
 * @throws AppError `unavailable`, with the end of the server's log, when it does not come up
 */
export async function superviseServer(options: StartOptions, log: Log): Promise<SupervisedServer> {
  let port = await pickPort(options.preferredPort);
  for (let tries = 1; ; tries += 1) {
    const started = await launch({ ...options, port });
    if ('stop' in started) return keepUp(started, { ...options, port }, log);
    if (tries === 20 || !isPassing(started)) throw startError(options, started);
    if (started.logTail.includes('could not bind')) port = await pickPort(undefined);
    await stopOrphan(options.place.pgdata, log);
    await sleep(100);
  }
}

/** Whether the next try may do better, because of a race with another process that was lost. */
function isPassing({ logTail }: StartFailure): boolean {
  return (
    // Somebody took the port after it was picked.
    logTail.includes('could not bind') ||
    // An orphan that was itself just starting when we looked for one.
    logTail.includes('"postmaster.pid" already exists') ||
    // Processes of a server that was killed a moment ago have not noticed yet.
    logTail.includes('is still in use')
  );
}

function keepUp(first: Server, options: ServerOptions, log: Log): SupervisedServer {
  const stopping = new AbortController();
  let server = first;

  const restart = async () => {
    for (let wait = 100; !stopping.signal.aborted; wait = Math.min(wait * 2, 10_000)) {
      const started = await launch(options);
      if ('stop' in started) {
        server = started;
        return;
      }
      log('warn', `PostgreSQL does not start again: ${started.reason}`, { log: started.logTail });
      await sleep(wait, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  };
  const watch = async () => {
    while (!stopping.signal.aborted) {
      await server.exited;
      if (stopping.signal.aborted) return;
      log('warn', 'PostgreSQL died; starting it again', { pid: server.pid });
      await restart();
    }
  };
  const watching = watch();

  return {
    port: options.port,
    async stop() {
      stopping.abort();
      await server.stop();
      await watching;
      // A new one may have come up in the meantime.
      await server.stop();
    },
  };
}

function startError({ place }: StartOptions, failure: StartFailure): AppError {
  return new AppError(
    'unavailable',
    `The embedded PostgreSQL did not start: ${failure.reason}. Its log ${logFileOf(place.pgdata)} ends ` +
      `with:\n${failure.logTail || '(nothing)'}\nFix what it complains about, or set DEFIB_DATA_DIR to ` +
      'another folder, or set DATABASE_URL to use a server of your own.',
  );
}
