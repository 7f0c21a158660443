import type { Command } from 'commander';
import { unwrap } from '../client/index.ts';
import { type OutputOptions, print, withJson } from './frame/output.ts';
import { openService } from './frame/service.ts';
import { line } from './verbs/newest.ts';

export function define(command: Command): void {
  withJson(command)
    .description(
      'Takes work that has ended off the list: it needs nobody any more, and its result is kept no longer.',
    )
    .argument('<session>', 'id of any attempt at the work')
    .addHelpText('after', `\nExample:\n  defib dismiss $SESSION`)
    .action(dismiss);
}

async function dismiss(id: string, options: OutputOptions): Promise<void> {
  const { client } = await openService();
  const call = { params: { path: { id } }, body: {} };
  print(await unwrap(client.POST('/api/sessions/{id}/dismiss', call)), options, line);
}
