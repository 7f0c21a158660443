import type { Command } from 'commander';
import { type Run, unwrap } from '../client/index.ts';
import { follow, type RunFilter } from './logs/follow.ts';
import { printOutput } from './logs/output.ts';
import { idsOf, note, type OutputOptions, print, table, time, withJson } from './frame/output.ts';
import { listUpTo, moreLine, wholeNumber } from './frame/pages.ts';
import { oneLine } from './frame/printable.ts';
import { openService, type Service } from './frame/service.ts';

type Options = OutputOptions & {
  limit: number;
  follow?: true;
  session?: string;
  output?: string;
};

export function define(command: Command): void {
  withJson(command)
    .description(
      'Lists runs, or follows them as they happen: also through a restart of the server.',
    )
    .argument('[agent]', 'only of this agent')
    .option('--session <id>', 'only of this session')
    .option(
      '--output <session>',
      'what the agent of a session printed that was started on this machine',
    )
    .option('-f, --follow', 'go on as runs end, until Ctrl-C; with --json one object a line')
    .option('-n, --limit <number>', 'how many of the newest to begin with', wholeNumber, 20)
    .addHelpText(
      'after',
      `
Examples:
  defib logs builder
  defib logs -f builder
  defib logs --output $SESSION -f
  defib logs -f --json | jq -r 'select(.status == "error") | .errors[]'`,
    )
    .action(logs);
}

async function logs(agent: string | undefined, options: Options): Promise<void> {
  const service = await openService();
  if (options.output !== undefined) {
    return await printOutput(service.client, options.output, options.follow ?? false);
  }
  const filter = await filterOf(service, agent, options.session);
  if (options.follow) {
    const runs = follow(service.client, filter, { last: options.limit, tell: note });
    for await (const run of runs) {
      process.stdout.write(`${options.json ? JSON.stringify(run) : line(run)}\n`);
    }
    return;
  }
  const page = await listUpTo(options.limit, (query) =>
    unwrap(service.client.GET('/api/runs', { params: { query: { ...filter, ...query } } })),
  );
  print(page, options, ({ items }) => runTable(items) + moreLine(page));
}

async function filterOf(
  { client }: Service,
  agent: string | undefined,
  sessionId: string | undefined,
): Promise<RunFilter> {
  if (sessionId === undefined) return { ...(agent && { agentName: agent }) };
  const session = await unwrap(
    client.GET('/api/sessions/{id}', { params: { path: { id: sessionId } } }),
  );
  return { agentName: session.agentName, sessionId };
}

function runTable(runs: Run[]): string {
  const short = idsOf(runs);
  return table(
    ['ID', 'AGENT', 'KIND', 'STATUS', 'QUEUED', 'SUMMARY'],
    runs.map((run) => [
      short(run.id),
      run.agentName,
      run.kind,
      run.status,
      time(run.queuedAt),
      run.summary,
    ]),
  );
}

/** A run that ended, on one line, and below it what went wrong. */
function line(run: Run): string {
  const { id, agentName, kind, status, summary } = run;
  return [
    [time(run.finishedAt, false), agentName, kind, status, id, oneLine(summary)].join('  '),
    ...run.warnings.map((warning) => `  warning: ${oneLine(warning)}`),
    ...run.errors.map((error) => `  error: ${oneLine(error)}`),
  ].join('\n');
}
