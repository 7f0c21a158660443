import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import type { Command } from 'commander';
import { type Client, type Checkpoint, unwrap } from '../client/index.ts';
import { AppError } from '../errors.ts';
import { readBundleHeader } from '../services/git/bundle-header.ts';
import { restore as restoreWork } from '../services/git/restore/restore.ts';
import type { Restored } from '../services/git/restore/types.ts';
import { CliError } from './frame/errors.ts';
import { note } from './frame/output.ts';
import { printable } from './frame/printable.ts';
import { clientFor, openService, serviceUrl } from './frame/service.ts';
import { findBase } from './restore/base.ts';
import { OWN_MACHINE } from './run/worktree.ts';

type Options = { into?: string; base?: string; printPrompt?: true };

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
    .option('--base <folder>', 'a clone that has the commits that the work builds on')
    .option('--print-prompt', 'print the continuation prompt on stdout, and the place on stderr')
    .addHelpText(
      'after',
      `
Examples:
  defib restore $SESSION
  cd "$(defib restore $SESSION --into /work/app)"
  defib restore $SESSION --base ~/src/app --print-prompt > prompt.md

It takes an operator's, the agent's or the session's own token: DEFIB_SESSION_TOKEN, if DEFIB_TOKEN is
not set. What the work builds on is taken from --base, from the clone that it is called in, or from
the remote; for a private one set GITHUB_TOKEN or DEFIB_GIT_CREDENTIALS, as the service has them.`,
    )
    .action(restore);
}

async function restore(id: string, options: Options): Promise<void> {
  const client = await clientOfEnvironment();
  const path = { id };
  const { latestCheckpointId } = await unwrap(
    client.GET('/api/sessions/{id}', { params: { path } }),
  );
  if (latestCheckpointId === null) {
    throw new CliError('not_found', `Nothing was saved of session ${id}.`);
  }
  const checkpoint = await unwrap(
    client.GET('/api/checkpoints/{id}', { params: { path: { id: latestCheckpointId } } }),
  );
  const prompt = options.printPrompt && (await promptOf(client, id));
  const target = resolve(options.into ?? `defib-${id}`);
  const { worktree, warnings } = await restoreInto(client, checkpoint, target, options);
  for (const { path, reason } of checkpoint.notCaptured) tell(`not saved: ${path} (${reason})`);
  for (const warning of warnings) tell(warning);
  if (prompt !== undefined) note(worktree);
  process.stdout.write(prompt ?? `${worktree}\n`);
}

const tell = (text: string): void => note(`defib: ${printable(text)}`);

/** An agent in a pod has only its session's token. */
async function clientOfEnvironment(): Promise<Client> {
  const { DEFIB_TOKEN, DEFIB_SESSION_TOKEN } = process.env;
  if (!DEFIB_TOKEN && DEFIB_SESSION_TOKEN) return clientFor(serviceUrl(), DEFIB_SESSION_TOKEN);
  return (await openService()).client;
}

async function promptOf(client: Client, id: string): Promise<string> {
  return await unwrap(
    client.GET('/api/sessions/{id}/continuation', {
      params: { path: { id } },
      headers: { Accept: 'text/markdown' },
      parseAs: 'text',
    }),
  );
}

async function restoreInto(
  client: Client,
  checkpoint: Checkpoint,
  target: string,
  options: Options,
): Promise<Restored> {
  const { commit, baseUrl } = checkpoint;
  if (commit === null) {
    throw new CliError('not_found', `Checkpoint ${checkpoint.number} holds no files.`);
  }
  const scratch = await mkdtemp(join(tmpdir(), 'defib-restore-'));
  try {
    const bundle = join(scratch, 'checkpoint.bundle');
    await download(client, checkpoint.id, bundle);
    const { prerequisites } = await readBundleHeader(bundle);
    const base = await findBase({ prerequisites, baseUrl, scratch, given: options.base });
    await mkdir(dirname(target), { recursive: true });
    return await restoreWork({
      target,
      commit,
      from: { bundle, ...(base !== undefined && { base }) },
      policy: OWN_MACHINE,
    });
  } catch (error) {
    if (error instanceof AppError) throw new CliError(error.code, error.message);
    throw error;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function download(client: Client, id: string, file: string): Promise<void> {
  const body = await unwrap(
    client.GET('/api/checkpoints/{id}/bundle', { params: { path: { id } }, parseAs: 'stream' }),
  );
  if (!body) throw new CliError('not_found', 'The service sent no bundle.');
  await pipeline(Readable.fromWeb(body as ReadableStream), createWriteStream(file));
}
