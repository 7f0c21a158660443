import type { Command } from 'commander';
import { type OutputOptions, print, table, withJson } from './frame/output.ts';
import { sessionsFolder } from './run/places.ts';
import { type Synced, syncAll } from './run/sync-all.ts';

export function define(command: Command): void {
  withJson(command)
    .description(
      'Sends what "defib run" has saved on this machine while the service was away, in order,\n' +
        'and puts away what finished work has left. The exit code is 1 while something is left.',
    )
    .addHelpText(
      'after',
      `
Examples:
  defib sync
  defib sync --json | jq '.[].left'`,
    )
    .action(sync);
}

async function sync(options: OutputOptions): Promise<void> {
  const synced = await syncAll(sessionsFolder(process.env), new AbortController().signal);
  print(synced, options, toText);
  if (synced.some(({ left }) => left > 0)) process.exitCode = 1;
}

const toText = (synced: Synced[]): string =>
  synced.length === 0
    ? 'Nothing was waiting to be sent.'
    : table(
        ['SESSION', 'LEFT', 'SAID'],
        synced.map(({ id, left, told }) => [id, left, told.join(' ')]),
      );
