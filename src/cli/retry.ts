import { type Command, InvalidArgumentError } from 'commander';
import { unwrap } from '../client/index.ts';
import { type OutputOptions, print, withJson } from './frame/output.ts';
import { wholeNumber } from './frame/pages.ts';
import { openService } from './frame/service.ts';
import { line, namedOrFlagged } from './verbs/newest.ts';

type Options = OutputOptions & { checkpoint?: number; budget?: number };

export function define(command: Command): void {
  withJson(command)
    .description(
      'Goes on with work that has ended: makes the next attempt, also after a spent budget, which it has\n' +
        "anew then. The agent's policy says how that is started.",
    )
    .argument('[session]', 'id of any attempt; default: the only one that needs attention')
    .option('--checkpoint <number>', 'go on from this checkpoint, not the newest', wholeNumber)
    .option('--budget <number>', 'how often it may be resumed by itself after this', budget)
    .addHelpText(
      'after',
      `
Examples:
  defib retry
  defib retry $SESSION --checkpoint 3
  defib retry $SESSION --budget 0      this once`,
    )
    .action(retry);
}

function budget(text: string): number {
  if (!/^\d{1,3}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}

async function retry(id: string | undefined, options: Options): Promise<void> {
  const { client } = await openService();
  const session = await namedOrFlagged(client, id);
  const body = {
    ...(options.checkpoint !== undefined && { checkpoint: options.checkpoint }),
    ...(options.budget !== undefined && { extraBudget: options.budget }),
  };
  const call = { params: { path: { id: session.id } }, body };
  print(await unwrap(client.POST('/api/sessions/{id}/resume', call)), options, line);
}
