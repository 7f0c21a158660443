import { type Command, InvalidArgumentError, Option } from 'commander';
import { unwrap } from '../client/index.ts';
import { note, type OutputOptions, print, table, time, withJson } from './frame/output.ts';
import { listUpTo, moreLine, withLimit } from './frame/pages.ts';
import { warnOfBanner } from './frame/npm.ts';
import { openService } from './frame/service.ts';

export function define(command: Command): void {
  command.description('Tokens: for operators, or for one agent.').addHelpText(
    'after',
    `
Examples:
  AGENT_TOKEN=$(defib token issue --agent builder)
  defib token issue --operator --expires 2027-01-01T00:00:00Z
  defib token revoke 01920000-0000-7000-8000-000000000000`,
  );
  withJson(command.command('issue'))
    .description('Issues a token, and prints it: this once. An agent that is not there is created.')
    .addOption(new Option('--agent <name>', 'for this agent').conflicts('operator'))
    .option('--operator', 'for an operator, who may do everything')
    .option('--expires <time>', 'until when it is valid, as 2027-01-01T00:00:00Z', isoTime)
    .action(issue);
  withJson(withLimit(command.command('list').alias('ls')))
    .description('Lists tokens: never the token itself.')
    .action(list);
  command
    .command('revoke')
    .argument('<id>', 'id of the token, from "defib token list"')
    .description('Revokes a token, within two seconds everywhere.')
    .action(revoke);
}

type IssueOptions = OutputOptions & { agent?: string; operator?: boolean; expires?: string };

async function issue(options: IssueOptions, command: Command): Promise<void> {
  const { agent, operator, expires } = options;
  if (!agent && !operator) command.error('error: say for whom: --agent <name>, or --operator');
  const { client } = await openService();
  const issued = await unwrap(
    client.POST('/api/tokens', {
      body: {
        ...(agent ? { scope: 'agent', agentName: agent } : { scope: 'operator' }),
        ...(expires && { expiresAt: expires }),
      },
    }),
  );
  // The token alone on stdout, so that it can be assigned.
  print(issued, options, ({ token }) => token);
  warnOfBanner();
  const until = issued.expiresAt === null ? '' : `, valid until ${time(issued.expiresAt)}`;
  if (!options.json)
    note(`Token ${issued.id} for ${agent ?? 'an operator'}${until}; shown this once.`);
}

async function list(options: OutputOptions & { limit: number }): Promise<void> {
  const { client } = await openService();
  const page = await listUpTo(options.limit, (query) =>
    unwrap(client.GET('/api/tokens', { params: { query } })),
  );
  print(
    page,
    options,
    ({ items }) =>
      table(
        ['ID', 'SCOPE', 'AGENT', 'CREATED', 'EXPIRES', 'LAST USED', 'STATE'],
        items.map((token) => [
          token.id,
          token.scope,
          token.agentName,
          time(token.createdAt),
          time(token.expiresAt),
          time(token.lastUsedAt),
          token.revokedAt === null ? 'valid' : `revoked ${time(token.revokedAt)}`,
        ]),
      ) + moreLine(page),
  );
}

async function revoke(id: string): Promise<void> {
  const { client } = await openService();
  await unwrap(client.DELETE('/api/tokens/{id}', { params: { path: { id } } }));
  note(`Revoked ${id}.`);
}

function isoTime(text: string): string {
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) {
    throw new InvalidArgumentError('It must be a time like 2027-01-01T00:00:00Z.');
  }
  return date.toISOString();
}
