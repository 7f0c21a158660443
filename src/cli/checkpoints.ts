import type { Command } from 'commander';
import { type OutputOptions, print, withJson } from './frame/output.ts';
import { openService } from './frame/service.ts';
import { checkpointsOf } from './restore/saved.ts';
import { checkpointTable } from './show.ts';

export function define(command: Command): void {
  withJson(command)
    .description('Lists the checkpoints of a session, oldest first.')
    .argument('<session>', 'id of a session')
    .addHelpText(
      'after',
      `
Examples:
  defib checkpoints $SESSION
  defib diff $SESSION 2                   what was uncommitted at the second
  defib restore $SESSION --checkpoint 2   a worktree of it`,
    )
    .action(list);
}

async function list(id: string, options: OutputOptions): Promise<void> {
  const { client } = await openService();
  const checkpoints = await checkpointsOf(client, id);
  print(checkpoints, options, (all) =>
    all.length === 0 ? `Nothing was saved of session ${id}.` : checkpointTable(all),
  );
}
