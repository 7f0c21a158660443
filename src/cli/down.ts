import { setTimeout as pause } from 'node:timers/promises';
import type { Command } from 'commander';
import { isAlive } from '../process-list.ts';
import { CliError } from './frame/errors.ts';
import { note } from './frame/output.ts';
import { localService } from './frame/service.ts';

export function define(command: Command): void {
  command
    .description(
      'Stops your own service on this machine, however it was started, and waits until it has. Calls that\n' +
        'are held open get their answer first. Agents that it started go on without it.',
    )
    .addHelpText(
      'after',
      `
Examples:
  defib down
  DEFIB_DATA_DIR=/srv/defib defib down       the one with these data`,
    )
    .action(down);
}

/** As long as a drain may be set to, and what a process takes at most beyond it. */
const STOP_MS = 330_000;
const LOOK_MS = 100;

async function down(): Promise<void> {
  const service = localService();
  if (!service) return note('No service of yours runs on this machine.');
  const { pid, url } = service;
  try {
    process.kill(pid, 'SIGTERM');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EPERM') {
      throw new CliError(
        'forbidden',
        `Process ${pid} belongs to somebody else.`,
        'Call it as its owner.',
      );
    }
    if (code !== 'ESRCH') throw error;
  }
  for (const until = performance.now() + STOP_MS; performance.now() < until;) {
    if (!isAlive(service)) return note(`The service on ${url} (process ${pid}) has stopped.`);
    await pause(LOOK_MS);
  }
  throw new CliError(
    'not_stopped',
    `Process ${pid} is still there.`,
    `kill -9 ${pid} ends it; no accepted work is lost.`,
  );
}
