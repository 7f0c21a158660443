import { join } from 'node:path';
import type { Command } from 'commander';
import { type Checkpoint, type Client, unwrap } from '../client/index.ts';
import { patchBetween } from '../services/git/diff.ts';
import { CliError } from './frame/errors.ts';
import { wholeNumber } from './frame/pages.ts';
import { openService } from './frame/service.ts';
import { restoreInto, withTemporary } from './restore/into.ts';
import { newestWork, numbered } from './restore/saved.ts';

export function define(command: Command): void {
  command
    .description(
      'Prints a patch: what was uncommitted at a checkpoint of a session, or what changed between two.',
    )
    .argument('<session>', 'id of a session')
    .argument('[n]', 'number of a checkpoint (default: the newest)', wholeNumber)
    .argument('[m]', 'number of a later one: what changed from n to m', wholeNumber)
    .addHelpText(
      'after',
      `
Examples:
  defib diff $SESSION
  defib diff $SESSION 2 5`,
    )
    .action(diff);
}

async function diff(id: string, n: number | undefined, m: number | undefined): Promise<void> {
  const { client } = await openService();
  if (n !== undefined && m !== undefined) {
    process.stdout.write(
      await between(client, await numbered(client, id, n), await numbered(client, id, m)),
    );
    return;
  }
  const { id: checkpointId } =
    n === undefined
      ? await newestWork(
          client,
          await unwrap(client.GET('/api/sessions/{id}', { params: { path: { id } } })),
        )
      : await numbered(client, id, n);
  const params = { path: { id: checkpointId } };
  const patch = await unwrap(client.GET('/api/checkpoints/{id}/diff', { params, parseAs: 'text' }));
  process.stdout.write(patch);
}

/** More than anybody reads. */
const MAX_BYTES = 16 * 1024 * 1024;

/** The later one's bundle holds the earlier one too: each checkpoint builds on the one before it. */
async function between(client: Client, one: Checkpoint, other: Checkpoint): Promise<Buffer> {
  const [earlier, later] = one.number <= other.number ? [one, other] : [other, one];
  if (earlier.commit === null || later.commit === null) {
    const { number } = earlier.commit === null ? earlier : later;
    throw new CliError(
      'not_found',
      `Checkpoint ${number} holds no files, only what its agent said.`,
    );
  }
  return await withTemporary(async (scratch) => {
    const folder = join(scratch, 'work');
    await restoreInto(client, later, folder, {});
    const { patch } = await patchBetween({
      privateDir: join(folder, '.git'),
      from: one.commit ?? '',
      commit: other.commit ?? '',
      maxBytes: MAX_BYTES,
    });
    return patch;
  });
}
