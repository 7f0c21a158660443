import { setTimeout as pause } from 'node:timers/promises';
import type { Command } from 'commander';
import { note } from './frame/output.ts';
import { openService } from './frame/service.ts';
import { printOutput } from './logs/output.ts';
import { newestAttempt } from './verbs/newest.ts';

export function define(command: Command): void {
  command
    .description(
      'Shows what an agent prints that a worker of this machine has started, attempt after attempt, until its\n' +
        'work is over. Ctrl-C leaves; the agent works on.',
    )
    .argument('<session>', 'id of any attempt at the work')
    .addHelpText(
      'after',
      `
Examples:
  defib attach $SESSION

Exit code: 0 when the work is completed; 1 when it has ended in another way, or waits for a person.`,
    )
    .action(attach);
}

const LOOK_MS = 500;

async function attach(id: string): Promise<void> {
  const { client } = await openService();
  for (let shown: string | undefined; ;) {
    const { id: now, attempt, status, endedAt, waitingFor } = await newestAttempt(client, id);
    if (endedAt !== null && shown !== now) {
      shown = now;
      // Over before it was seen, or begun elsewhere.
      await printOutput(client, now, false).catch(() => undefined);
    }
    if (status === 'completed') return note('defib: Completed.');
    if (waitingFor === 'claim') {
      note(`defib: It waits for somebody to take it up: defib resume ${now}`);
      return void (process.exitCode = 1);
    }
    if (endedAt !== null && waitingFor === null) {
      note(`defib: Ended as ${status}.`);
      return void (process.exitCode = 1);
    }
    if (status === 'running' && shown !== now) {
      shown = now;
      note(`defib: attempt ${attempt}, session ${now}. Ctrl-C leaves it at work.`);
      await printOutput(client, now, true);
    } else {
      await pause(LOOK_MS);
    }
  }
}
