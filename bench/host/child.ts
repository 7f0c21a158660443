/**
 * Holds one contender: `node host/child.ts <contender>`. Each contender gets a fresh process, so
 * that neither its heap, its globals nor its signal handlers reach another one. The load is made
 * in here, so a contender that is a library is called without any transport between.
 */
import { loadContender } from '../contenders/index.ts';
import type { Started } from '../contenders/types.ts';
import { runClosedLoop } from '../measure/closed-loop.ts';
import { listen } from './listen.ts';
import type { Command, Reply } from './protocol.ts';

const name = process.argv[2] ?? '';
const resources = new AsyncDisposableStack();
let started: Started | undefined;

function running(): Started {
  if (started === undefined) throw new Error(`${name} was not started.`);
  return started;
}

async function obey(command: Command): Promise<unknown> {
  switch (command.kind) {
    case 'start': {
      const { title, access, start } = await loadContender(name);
      started = await start(command.context);
      resources.defer(started.stop);
      return { title, access };
    }
    case 'measure':
      return runClosedLoop(command.load, command.first, running().call);
    case 'recorded':
      return running().recorded?.();
    case 'listen': {
      const server = await listen(running().call, command.token);
      resources.defer(server.close);
      return server.port;
    }
  }
}

async function answer(command: Command): Promise<void> {
  const reply: Reply = await obey(command).then(
    (value) => ({ value }),
    (error: unknown) => ({ error: error instanceof Error ? (error.stack ?? '') : String(error) }),
  );
  if (process.connected) process.send?.(reply);
}

async function stop(): Promise<void> {
  // What is half started is finished first, so that it can be stopped.
  await busy;
  await resources.disposeAsync();
}

let busy = Promise.resolve();
process.on('message', (command: Command) => {
  busy = busy.then(() => answer(command));
});
// The parent is done with it, or dead.
process.on('disconnect', () => void stop().finally(() => process.exit()));
// A Ctrl-C reaches the whole foreground group; the parent decides the order of shutting down.
process.on('SIGINT', () => undefined);
