import type { Command } from 'commander';
import { unwrap } from '../client/index.ts';
import { type OutputOptions, print, withJson } from './frame/output.ts';
import { openService } from './frame/service.ts';
import { line, newestAttempt } from './verbs/newest.ts';

type Options = OutputOptions & { reason?: string };

export function define(command: Command): void {
  withJson(command)
    .description(
      'Ends work that lives or waits, for good: no attempt comes after it. What is saved stays.',
    )
    .argument('<session>', 'id of any attempt at the work')
    .option('--reason <text>', 'why, for its record')
    .addHelpText('after', `\nExample:\n  defib cancel $SESSION --reason "done by hand"`)
    .action(cancel);
}

async function cancel(id: string, options: Options): Promise<void> {
  const { client } = await openService();
  const session = await newestAttempt(client, id);
  const body = { ...(options.reason !== undefined && { reason: options.reason }) };
  const call = { params: { path: { id: session.id } }, body };
  print(await unwrap(client.POST('/api/sessions/{id}/cancel', call)), options, line);
}
