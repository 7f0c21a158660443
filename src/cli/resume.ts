import { createInterface } from 'node:readline/promises';
import { isatty } from 'node:tty';
import type { Command } from 'commander';
import { type Client, type Session, type SessionWithAttempts, unwrap } from '../client/index.ts';
import { CliError } from './frame/errors.ts';
import { note } from './frame/output.ts';
import { listUpTo } from './frame/pages.ts';
import { printable } from './frame/printable.ts';
import { openService } from './frame/service.ts';
import { runChain } from './run/chain.ts';
import { nextCommandOf } from './run/next-command.ts';
import { placesOf, readSaved, sessionsFolder } from './run/places.ts';
import { type RunOptions, withRunOptions, withSignals } from './run/options.ts';
import { beginResumed } from './run/resumed.ts';
import type { Signals } from './run/signals.ts';
import { sessionTable } from './sessions.ts';

export function define(command: Command): void {
  withRunOptions(command)
    .description(
      'Takes up work that waits, here and in the foreground: claims it, goes on in its worktree where that is\n' +
        'safe, else in one that has what was saved, and looks after it as defib run does.',
    )
    .argument(
      '[session]',
      'which: any attempt at the work; without it, the one that waits, or you choose',
    )
    .argument(
      '[command...]',
      'the agent, after --; default: the one that it was run with on this machine',
    )
    .addHelpText(
      'after',
      `
Examples:
  defib resume
  defib resume $SESSION
  defib resume $SESSION -- claude -p
  defib resume $SESSION --resume-with 'my-agent --prompt-file {promptFile}'

The command of a known agent gets the continuation prompt by itself. Exit codes are those of defib run.`,
    )
    .action(resume);
}

const tell = (text: string): void => note(`defib: ${printable(text)}`);

async function resume(
  id: string | undefined,
  command: string[],
  options: RunOptions,
): Promise<void> {
  await withSignals(tell, async (signals) => {
    const { client, url } = await openService();
    const session = await waiting(client, id ?? (await choose(client)));
    return await takeUp({ client, url, session, command, options, signals });
  });
}

/** The newest attempt at the work of a session, which waits; made where the work has ended. */
async function waiting(client: Client, id: string): Promise<SessionWithAttempts> {
  const read = (each: string) =>
    unwrap(client.GET('/api/sessions/{id}', { params: { path: { id: each } } }));
  const { attempts } = await read(id);
  const last = attempts.at(-1);
  if (!last) throw new CliError('not_found', `There is no session ${id}.`);
  if (last.status === 'pending') return await read(last.id);
  if (last.endedAt === null) {
    throw new CliError(
      'conflict',
      `Session ${last.id} is at work (${last.status}).`,
      'End it first with "defib stop", or leave it alone.',
    );
  }
  const next = await unwrap(
    client.POST('/api/sessions/{id}/resume', { params: { path: { id: last.id } }, body: {} }),
  );
  return await read(next.id);
}

/** What waits, if it is one; else the user chooses. */
async function choose(client: Client): Promise<string> {
  const { items } = await listUpTo(50, (query) =>
    unwrap(client.GET('/api/sessions', { params: { query: { ...query, status: 'pending' } } })),
  );
  const [only, ...more] = items;
  if (!only) {
    throw new CliError(
      'not_found',
      'No session waits.',
      '"defib sessions" shows all that there are.',
    );
  }
  if (more.length === 0) return only.id;
  note(sessionTable(items));
  if (!isatty(0) || !isatty(2)) {
    throw new CliError(
      'ambiguous',
      `${items.length} sessions wait.`,
      'Name one: defib resume <session>',
    );
  }
  return await ask(items);
}

async function ask(items: Session[]): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = (await terminal.question('Which one? Its id, or the beginning of it: ')).trim();
    const found = items.filter(({ id }) => answer !== '' && id.startsWith(answer));
    if (found.length === 1 && found[0]) return found[0].id;
    throw new CliError('not_found', `"${answer}" is the beginning of ${found.length} of them.`);
  } finally {
    terminal.close();
  }
}

export type TakeUp = {
  client: Client;
  url: string;
  /** It waits. */
  session: SessionWithAttempts;
  command: string[];
  options: RunOptions;
  signals: Signals;
};

/** Goes on with a waiting session here, attempt after attempt. Returns the exit code. */
export async function takeUp(work: TakeUp): Promise<number> {
  const { session, options, signals } = work;
  const command = work.command.length > 0 ? work.command : await recorded(session);
  const next = await nextCommandOf(command, options);
  if (!next) {
    throw new CliError(
      'no_command',
      command.length === 0
        ? `It is not known on this machine what session ${session.id} was run with.`
        : `It is not known how "${command[0]}" takes a prompt.`,
      "Name the agent (defib resume <session> -- claude -p), or say --resume-with 'my-agent {promptFile}'.",
    );
  }
  const ready = await beginResumed({ ...work, next, tell });
  return await runChain(ready, options.resume ? next : undefined, options, { signals, tell });
}

/** The command of the newest attempt that was run on this machine. */
async function recorded({ attempts }: SessionWithAttempts): Promise<string[]> {
  for (const { id } of attempts.toReversed()) {
    const saved = await readSaved(placesOf(sessionsFolder(process.env), id));
    if (saved?.command) return saved.command;
  }
  return [];
}
