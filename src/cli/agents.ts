import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Agent, type AgentPolicy, type Client, DefibError, unwrap } from '../client/index.ts';
import { fields, type OutputOptions, print, table, time, withJson } from './frame/output.ts';
import { listUpTo, moreLine, withLimit } from './frame/pages.ts';
import { openService } from './frame/service.ts';

export function define(command: Command): void {
  command.description('Agents: who calls, what they work on, and their policy.').addHelpText(
    'after',
    `
Examples:
  defib agents list
  defib agents set builder --repo acme/app --repo acme/lib
  defib agents set builder --policy timeoutSeconds=3600 --policy resumeBudget=5
  defib agents set builder --pause`,
  );
  withJson(withLimit(command.command('list').alias('ls')))
    .description('Lists agents.')
    .action(list);
  withJson(command.command('show'))
    .argument('<name>', 'name of the agent')
    .description('Shows one agent.')
    .action(show);
  withJson(command.command('set'))
    .argument('<name>', 'name of the agent')
    .description('Creates an agent, or changes what is given of it and nothing else.')
    .addOption(
      new Option(
        '--repo <owner/name>',
        'a repository it works on; repeat for more, which replace those it had',
      )
        .argParser(append)
        .conflicts('clearRepos'),
    )
    .option('--clear-repos', 'it works on no repository')
    .option(
      '--policy <key=value>',
      'one setting of its policy, null for none; repeat for more',
      setting,
    )
    .addOption(new Option('--pause', 'hand it no work').conflicts('unpause'))
    .option('--unpause', 'hand it work again')
    .action(set);
}

async function list(options: OutputOptions & { limit: number }): Promise<void> {
  const { client } = await openService();
  const page = await listUpTo(options.limit, (query) =>
    unwrap(client.GET('/api/agents', { params: { query } })),
  );
  print(
    page,
    options,
    ({ items }) =>
      table(
        ['NAME', 'STATE', 'CREATED', 'REPOSITORIES'],
        items.map((agent) => [
          agent.name,
          agent.paused ? 'paused' : 'active',
          time(agent.createdAt),
          agent.repos.join(', '),
        ]),
      ) + moreLine(page),
  );
}

async function show(agentName: string, options: OutputOptions): Promise<void> {
  const { client } = await openService();
  const agent = await unwrap(
    client.GET('/api/agents/{agentName}', { params: { path: { agentName } } }),
  );
  print(agent, options, describe);
}

type SetOptions = OutputOptions & {
  repo?: string[];
  clearRepos?: boolean;
  policy?: Record<string, unknown>;
  pause?: boolean;
  unpause?: boolean;
};

async function set(agentName: string, options: SetOptions): Promise<void> {
  const { client } = await openService();
  const params = { path: { agentName } };
  const policy = options.policy && {
    ...(await policyOf(client, agentName)),
    ...options.policy,
  };
  const repos = options.clearRepos ? [] : options.repo;
  const agent = await unwrap(
    client.PUT('/api/agents/{agentName}', {
      params,
      body: {
        ...(repos && { repos }),
        ...(policy && { policy }),
        ...((options.pause || options.unpause) && { paused: options.pause ?? false }),
      },
    }),
  );
  print(agent, options, describe);
}

/** The server replaces a policy as a whole; of an agent that is not there yet, it is empty. */
async function policyOf(client: Client, agentName: string): Promise<AgentPolicy> {
  try {
    const agent = await unwrap(
      client.GET('/api/agents/{agentName}', { params: { path: { agentName } } }),
    );
    return agent.policy;
  } catch (error) {
    if (error instanceof DefibError && error.code === 'not_found') return {};
    throw error;
  }
}

function describe(agent: Agent): string {
  return fields({
    name: agent.name,
    state: agent.paused ? 'paused' : 'active',
    repositories: agent.repos.join(', '),
    policy: Object.entries(agent.policy)
      .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
      .join(' '),
    created: time(agent.createdAt),
    changed: time(agent.updatedAt),
  });
}

const append = (value: string, before: string[] = []): string[] => [...before, value];

/**
 * A value is JSON, or else text; `null` takes the setting away. Which there are and what they may be is
 * for the server to judge.
 */
function setting(text: string, before: Record<string, unknown> = {}): Record<string, unknown> {
  const [, key, value] = /^(\w+)=(.+)$/s.exec(text) ?? [];
  if (key === undefined || value === undefined) {
    throw new InvalidArgumentError('It must be like timeoutSeconds=3600.');
  }
  const parsed = parseJson(value);
  return { ...before, [key]: parsed === null ? undefined : parsed };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
