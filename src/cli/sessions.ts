import { type Command, Option } from 'commander';
import { type Session, unwrap } from '../client/index.ts';
import { idsOf, type OutputOptions, print, table, time, withJson } from './frame/output.ts';
import { listUpTo, moreLine, withLimit } from './frame/pages.ts';
import { openService } from './frame/service.ts';

const STATUSES = [
  'pending',
  'starting',
  'running',
  'completed',
  'failed',
  'cancelled',
  'timed_out',
  'interrupted',
] as const satisfies Session['status'][];

type Options = OutputOptions & {
  limit: number;
  agent?: string;
  status?: Session['status'];
  root?: string;
  needsAttention?: true;
};

export function define(command: Command): void {
  withJson(withLimit(command))
    .description('Lists sessions, newest first: attempts of agents at pieces of work.')
    .option('--agent <name>', 'only of this agent')
    .addOption(new Option('--status <status>', 'only in this state').choices(STATUSES))
    .option('--root <id>', 'only attempts at the work that began with this session')
    .option('--needs-attention', 'only those that a person must look at')
    .addHelpText(
      'after',
      `
Examples:
  defib sessions --agent builder --status running
  defib sessions --needs-attention --json | jq -r '.items[].id'
  defib show <id>       one of them, with all attempts`,
    )
    .action(list);
}

async function list(options: Options): Promise<void> {
  const { client } = await openService();
  const filter = {
    ...(options.agent && { agentName: options.agent }),
    ...(options.status && { status: options.status }),
    ...(options.root && { rootId: options.root }),
    ...(options.needsAttention && { needsAttention: 'true' as const }),
  };
  const page = await listUpTo(options.limit, (query) =>
    unwrap(client.GET('/api/sessions', { params: { query: { ...filter, ...query } } })),
  );
  print(page, options, ({ items }) => sessionTable(items) + moreLine(page));
}

export function sessionTable(sessions: Session[]): string {
  const short = idsOf(sessions);
  return table(
    ['ID', 'AGENT', 'STATUS', 'ATTEMPT', 'TURN', 'STARTED', 'ENDED', 'OBJECTIVE'],
    sessions.map((session) => [
      short(session.id),
      session.agentName,
      session.needsAttention ? `${session.status}, needs attention` : session.status,
      session.attempt,
      session.turn,
      time(session.startedAt),
      time(session.endedAt),
      session.objective,
    ]),
  );
}
