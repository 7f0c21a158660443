import { type Command, InvalidArgumentError } from 'commander';
import { type Repository, unwrap } from '../client/index.ts';
import { note, type OutputOptions, print, table, time, withJson } from './frame/output.ts';
import { listUpTo, moreLine, withLimit } from './frame/pages.ts';
import { openService } from './frame/service.ts';

type RepoPath = { owner: string; name: string };

export function define(command: Command): void {
  command.description('Tracked repositories, and how reading their issues went.').addHelpText(
    'after',
    `
Examples:
  defib repos list
  defib repos track acme/app
  defib repos untrack acme/app`,
  );
  withJson(withLimit(command.command('list').alias('ls')))
    .description('Lists repositories.')
    .action(list);
  withJson(command.command('track'))
    .argument('<owner/name>', 'the repository on GitHub', repoPath)
    .description('Tracks a repository. For a tracked one, a failed sync is tried again.')
    .action(track);
  command
    .command('untrack')
    .argument('<owner/name>', 'the repository on GitHub', repoPath)
    .description('Stops tracking it. Its stored issues and claims go; GitHub is not changed.')
    .action(untrack);
}

async function list(options: OutputOptions & { limit: number }): Promise<void> {
  const { client } = await openService();
  const page = await listUpTo(options.limit, (query) =>
    unwrap(client.GET('/api/repos', { params: { query } })),
  );
  print(
    page,
    options,
    ({ items }) =>
      table(
        ['REPOSITORY', 'SYNCED', 'STATE'],
        items.map((repo) => [`${repo.owner}/${repo.name}`, time(repo.syncedAt), stateOf(repo)]),
      ) + moreLine(page),
  );
}

async function track(path: RepoPath, options: OutputOptions): Promise<void> {
  const { client } = await openService();
  const repo = await unwrap(client.PUT('/api/repos/{owner}/{name}', { params: { path } }));
  print(repo, options, () => `${repo.owner}/${repo.name}  ${stateOf(repo)}`);
}

async function untrack(path: RepoPath): Promise<void> {
  const { client } = await openService();
  await unwrap(client.DELETE('/api/repos/{owner}/{name}', { params: { path } }));
  note(`${path.owner}/${path.name} is no longer tracked.`);
}

function stateOf({ failure, syncedAt }: Repository): string {
  if (failure) {
    const again = failure.nextAttemptAt ? ` Tried again at ${time(failure.nextAttemptAt)}.` : '';
    return `${failure.kind}: ${failure.message}${again}`;
  }
  return syncedAt === null ? 'read at the next heartbeat' : 'ok';
}

function repoPath(text: string): RepoPath {
  const [owner, name, ...rest] = text.split('/');
  if (!owner || !name || rest.length > 0) {
    throw new InvalidArgumentError('It must be like acme/app.');
  }
  return { owner, name };
}
