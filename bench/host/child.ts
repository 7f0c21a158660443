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
let started: Started | undefined;
let listening: { close(): Promise<void> } | undefined;

function running(): Started {
  if (started === undefined) throw new Error(`${name} was not started.`);
  return started;
}

async function stop(): Promise<void> {
  await listening?.close();
  await started?.stop();
  listening = undefined;
  started = undefined;
}

async function obey(command: Command): Promise<unknown> {
  switch (command.kind) {
    case 'start':
      started = await (await loadContender(name)).start(command.context);
      return undefined;
    case 'measure':
      return runClosedLoop(command.load, command.first, running().call);
    case 'recorded':
      return running().recorded?.();
    case 'listen': {
      const server = await listen(running().call, command.token);
      listening = server;
      return server.port;
    }
    case 'stop':
      return stop();
  }
}

async function answer(command: Command): Promise<void> {
  const reply: Reply = await obey(command).then(
    (value) => ({ value }),
    (error: unknown) => ({ error: error instanceof Error ? (error.stack ?? '') : String(error) }),
  );
  if (process.connected) process.send?.(reply);
  if (command.kind === 'stop') process.disconnect();
}

let busy = Promise.resolve();
process.on('message', (command: Command) => {
  busy = busy.then(() => answer(command));
});
// A Ctrl-C reaches the whole foreground group; the parent decides the order of shutting down.
process.on('SIGINT', () => undefined);
process.on('disconnect', () => void stop().finally(() => process.exit()));
