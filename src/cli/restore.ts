import { resolve } from 'node:path';
import type { Command } from 'commander';
import { type Client, unwrap } from '../client/index.ts';
import { note } from './frame/output.ts';
import { wholeNumber } from './frame/pages.ts';
import { printable } from './frame/printable.ts';
import { clientFor, openService, serviceUrl } from './frame/service.ts';
import { restoreInto } from './restore/into.ts';
import { newestWork, numbered } from './restore/saved.ts';

type Options = { into?: string; base?: string; checkpoint?: number; printPrompt?: true };

export function define(command: Command): void {
  command
    .description(
      'Makes a new worktree with branch, HEAD, index and files as the newest checkpoint of a session\n' +
        'has them, compared with its fingerprint. Prints where it is; nothing that exists is touched.',
    )
    .argument(
      '<session>',
      'id of a session; of one that is resumed, the work of the attempt before',
    )
    .option('--into <folder>', 'the new worktree (default: defib-<session> here)')
    .option('--checkpoint <number>', 'an earlier checkpoint of that session', wholeNumber)
    .option('--base <folder>', 'a clone that has the commits that the work builds on')
    .option('--print-prompt', 'print the continuation prompt on stdout, and the place on stderr')
    .addHelpText(
      'after',
      `
Examples:
  defib restore $SESSION
  cd "$(defib restore $SESSION --into /srv/app)"
  defib restore $SESSION --checkpoint 3
  defib restore $SESSION --base ~/src/app --print-prompt > prompt.md

It takes an operator's, the agent's or the session's own token: DEFIB_SESSION_TOKEN, if DEFIB_TOKEN is
not set. What the work builds on is taken from --base, from the clone that it is called in, or from
the remote; for a private one set GITHUB_TOKEN or DEFIB_GIT_CREDENTIALS, as the service has them.`,
    )
    .action(restore);
}

async function restore(id: string, options: Options): Promise<void> {
  const client = await clientOfEnvironment();
  const session = await unwrap(client.GET('/api/sessions/{id}', { params: { path: { id } } }));
  const checkpoint =
    options.checkpoint === undefined
      ? await newestWork(client, session)
      : await numbered(client, id, options.checkpoint);
  const target = resolve(options.into ?? `defib-${id}`);
  const { worktree, warnings } = await restoreInto(client, checkpoint, target, options);
  for (const { path, reason } of checkpoint.notCaptured) tell(`not saved: ${path} (${reason})`);
  for (const warning of warnings) tell(warning);
  if (!options.printPrompt) return void process.stdout.write(`${worktree}\n`);
  note(worktree);
  process.stdout.write(await promptOf(client, id, worktree));
}

const tell = (text: string): void => note(`defib: ${printable(text)}`);

/** An agent in a pod has only its session's token. */
async function clientOfEnvironment(): Promise<Client> {
  const { DEFIB_TOKEN, DEFIB_SESSION_TOKEN } = process.env;
  if (!DEFIB_TOKEN && DEFIB_SESSION_TOKEN) return clientFor(serviceUrl(), DEFIB_SESSION_TOKEN);
  return (await openService()).client;
}

/** For whoever goes on in what was restored. */
async function promptOf(client: Client, id: string, restoredTo: string): Promise<string> {
  return await unwrap(
    client.GET('/api/sessions/{id}/continuation', {
      params: { path: { id }, query: { restoredTo } },
      headers: { Accept: 'text/markdown' },
      parseAs: 'text',
    }),
  );
}
