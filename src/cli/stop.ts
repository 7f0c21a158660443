import type { Command } from 'commander';
import { unwrap } from '../client/index.ts';
import { CliError } from './frame/errors.ts';
import { type OutputOptions, print, withJson } from './frame/output.ts';
import { openService } from './frame/service.ts';
import { line, newestAttempt } from './verbs/newest.ts';

type Options = OutputOptions & { reason: string; resume: boolean };

export function define(command: Command): void {
  withJson(command)
    .description(
      'Stops a session that is at work: its work is saved, and resumed as the policy says.',
    )
    .argument('<session>', 'id of any attempt at the work')
    .option('--reason <text>', 'why, for whoever goes on', 'stopped by a person')
    .option('--no-resume', 'end it for good, as "defib cancel" does', true)
    .addHelpText(
      'after',
      `
Examples:
  defib stop $SESSION --reason "the host goes down"
  defib stop $SESSION --no-resume`,
    )
    .action(stop);
}

async function stop(id: string, options: Options): Promise<void> {
  const { client } = await openService();
  const session = await newestAttempt(client, id);
  const call = { params: { path: { id: session.id } }, body: { reason: options.reason } };
  if (!options.resume) {
    return print(await unwrap(client.POST('/api/sessions/{id}/cancel', call)), options, line);
  }
  if (session.status === 'pending') {
    throw new CliError(
      'conflict',
      `Session ${session.id} is not at work: it waits for ${session.waitingFor ?? 'its agent'}.`,
      `"defib cancel ${session.id}" ends it.`,
    );
  }
  print(await unwrap(client.POST('/api/sessions/{id}/interrupt', call)), options, line);
}
