import { styleText } from 'node:util';
import type { Command } from 'commander';
import { type Client, type Session, type Status, unwrap } from '../client/index.ts';
import { type OutputOptions, print, withJson } from './frame/output.ts';
import { listUpTo } from './frame/pages.ts';
import { ago } from './frame/relative-time.ts';
import { openService } from './frame/service.ts';
import { shortIds } from './frame/short-id.ts';
import { formatTable } from './frame/table.ts';

export function define(command: Command): void {
  withJson(command)
    .description(
      'Shows at a glance what is true: the service, the hosts that work, what runs, what waits, what\n' +
        'needs you with the command to type, and finished work that has not landed yet.',
    )
    .addHelpText(
      'after',
      `
Examples:
  defib status
  watch --color defib status
  defib status --json | jq -r '.needsAttention[].sessionId'`,
    )
    .action(showStatus);
}

/** What is listed of each kind; "defib sessions" lists all. */
const MAX_LISTED = 20;

async function showStatus(options: OutputOptions): Promise<void> {
  const { url, client } = await openService();
  const status = await unwrap(client.GET('/api/status', {}));
  const running = options.json ? [] : await runningSessions(client);
  print(status, options, () => describe(url, status, running));
}

async function runningSessions(client: Client): Promise<Session[]> {
  const pages = (['running', 'starting'] as const).map((status) =>
    listUpTo(MAX_LISTED, (query) =>
      unwrap(client.GET('/api/sessions', { params: { query: { ...query, status } } })),
    ),
  );
  return (await Promise.all(pages)).flatMap(({ items }) => items);
}

function describe(url: string, status: Status, running: Session[]): string {
  const { hosts, waiting, needsAttention, results } = status;
  const short = shortIds([
    ...running.map(({ id }) => id),
    ...[...waiting, ...needsAttention, ...results].map(({ sessionId }) => sessionId),
  ]);
  const live = hosts.filter((host) => host.live);
  return [
    `Service  ${url}\nWorkers  ${describeHosts(status)}`,
    ...section('Running', running.length, runningTable(running, short)),
    ...section(
      'Waiting',
      waiting.length,
      rowsOf(waiting, (one) => [
        short(one.sessionId),
        one.agentName,
        `since ${ago(one.since).replace(' ago', '')}`,
        one.until === null ? `for ${one.for}` : `for ${one.for}, until ${ago(one.until)}`,
        wayOn(one, short),
      ]),
    ),
    ...section(
      'Needs attention',
      needsAttention.length,
      rowsOf(needsAttention, (one) => [
        short(one.sessionId),
        one.agentName,
        `defib ${one.verb} ${short(one.sessionId)}`,
        one.reason,
      ]),
    ),
    ...section(
      'Results not landed',
      results.length,
      rowsOf(results, (one) => [
        short(one.sessionId),
        one.agentName,
        one.state,
        one.keptUntil === null ? '-' : `goes ${ago(one.keptUntil)}`,
        `defib bring ${short(one.sessionId)}`,
      ]),
    ),
    summaryOf(status, running.length),
    ...(live.length === 0 ? ['Nothing goes on without a worker: "defib up" starts one.'] : []),
  ].join('\n\n');
}

function wayOn(
  { verb, sessionId, agentName, for: reason }: Status['waiting'][number],
  short: (id: string) => string,
): string {
  if (verb !== null) return `defib ${verb} ${short(sessionId)}`;
  if (reason === 'agent paused') return `defib agents set ${agentName} --unpause`;
  return reason === 'a worker' ? 'defib up' : 'goes on by itself';
}

const section = (title: string, count: number, text: string): string[] =>
  count === 0
    ? []
    : [`${styleText('bold', `${title} (${count})`, { stream: process.stdout })}\n${text}`];

/** A command to type must be there as a whole: without a width nothing is cut. */
function rowsOf<T>(items: T[], toRow: (item: T) => string[], width?: number): string {
  const rows = items.slice(0, MAX_LISTED).map(toRow);
  const more = items.length > MAX_LISTED ? `\n… and ${items.length - MAX_LISTED} more` : '';
  const [first = [], ...rest] = rows;
  return `${formatTable(first, rest, width)}${more}`;
}

const runningTable = (running: Session[], short: (id: string) => string): string =>
  running.length === 0
    ? ''
    : rowsOf(
        running,
        (session) => [
          short(session.id),
          session.agentName,
          `attempt ${session.attempt}`,
          session.startedAt === null ? '-' : `began ${ago(session.startedAt)}`,
          session.deadlineAt === null ? 'no limit' : `ends ${ago(session.deadlineAt)}`,
          session.objective,
        ],
        process.stdout.isTTY ? process.stdout.columns : undefined,
      );

function describeHosts({ hosts }: Status): string {
  const live = hosts.filter((host) => host.live).map(({ host }) => host);
  if (live.length > 0) return `alive on ${live.join(', ')}`;
  const [last] = hosts;
  const none = styleText('red', 'none alive', { stream: process.stdout });
  return last ? `${none}; last seen on ${last.host}, ${ago(last.lastSeenAt)}` : none;
}

function summaryOf({ sessions, waiting, needsAttention }: Status, running: number): string {
  const quiet = running + waiting.length + needsAttention.length === 0;
  const counts = Object.entries(sessions.byStatus).map(([state, count]) => `${count} ${state}`);
  const day = counts.length > 0 ? `Of the last day: ${counts.join(', ')}.` : 'No sessions today.';
  return quiet ? `Nothing runs, and nothing needs you. ${day}` : day;
}
