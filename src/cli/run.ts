import { setTimeout as pause } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { note } from './frame/output.ts';
import { wholeNumber } from './frame/pages.ts';
import { printable } from './frame/printable.ts';
import { assertCommand, NoCommand } from './run/child.ts';
import { systemClock } from './run/clock.ts';
import { aborted, messageOf } from './run/deliver.ts';
import {
  leaveSession,
  makePlaces,
  type Places,
  placesOf,
  readSaved,
  type SavedSession,
  sessionsFolder,
  takeSession,
  writeSaved,
} from './run/places.ts';
import { sessionApi } from './run/session-api.ts';
import { handleSignals, type Signals, Stopped } from './run/signals.ts';
import { begin, type Begun, type StartOptions } from './run/start.ts';
import { supervise } from './run/supervise.ts';
import { syncAll } from './run/sync-all.ts';

type Options = StartOptions & {
  checkpointEveryTurns: number;
  checkpointEvery: number;
  grace: number;
  resume: boolean;
};

export function define(command: Command): void {
  command
    .description(
      'Runs a command as a session: with heartbeats, checkpoints, a time limit, and resume.\n' +
        'Input, output, signals and the exit code pass through.',
    )
    .argument('<command...>', 'what to run, after --')
    .option('--issue <url>', 'the issue that it works on')
    .option('--repo <owner/name>', 'its repository; default: that of the issue')
    .option('--objective <text>', 'what the work is; default: the issue, or the command')
    .option(
      '--agent <name>',
      'the agent; default: DEFIB_AGENT, that of the token, or the name of the command',
    )
    .option('--timeout <seconds>', 'time limit', wholeNumber)
    .option('--checkpoint-every-turns <n>', 'save after so many turns', wholeNumber, 1)
    .option('--checkpoint-every <seconds>', 'save so often, if something changed', wholeNumber, 60)
    .option('--grace <seconds>', 'between SIGTERM and SIGKILL', seconds, 10)
    .option('--no-resume', 'end as failed, not to be resumed, where the command fails', true)
    .option('--session <id>', 'go on with a session; its token is in DEFIB_SESSION_TOKEN')
    .addHelpText(
      'after',
      `
Examples:
  defib run -- claude -p "fix the build"
  defib run --issue https://github.com/acme/app/issues/42 --timeout 3600 -- codex exec "fix #42"
  defib run --session $ID -- ./go-on.sh

Exit code: the command's (128 + n for signal n); 124 at the time limit; 90 when the session is over
or was taken over, 91 when the service asked to stop; 127 and 126 when the command cannot be run.`,
    )
    .configureOutput({ outputError: (text, write) => write(withDashes(text)) })
    .action(run);
}

/** The options of a command that is not behind `--` are taken for ours. */
function withDashes(text: string): string {
  const isTheirs = text.includes('unknown option') && !process.argv.includes('--');
  return isTheirs
    ? `${text}"--" is missing before the command: defib run [options] -- claude -p "fix it"\n`
    : text;
}

function seconds(text: string): number {
  if (!/^\d{1,5}(\.\d+)?$/.test(text)) throw new InvalidArgumentError('It must be a number.');
  return Number(text);
}

const tell = (text: string): void => note(`defib: ${printable(text)}`);

/** A `defib sync` that is under way has a session for no longer than this. */
const TAKE_MS = 10_000;

/** What the answer to a start that is under way may take once a signal has asked to end. */
const ANSWER_MS = 10_000;

async function run(command: string[], options: Options): Promise<void> {
  const signals = handleSignals();
  try {
    await assertCommand(command);
    const beginning = begin(options, command, process.env, tell, signals.ending);
    const begun = await Promise.race([beginning, givenUp(signals)]);
    process.exitCode = await attempt(command, options, begun, signals);
  } catch (error) {
    if (!(error instanceof NoCommand || error instanceof Stopped)) throw error;
    tell(error.message);
    process.exitCode = error.exitCode;
  }
  // A call that is still under way is of no use any more. To cut it off by its signal can throw, out of
  // reach of whoever waits for it.
  process.exit();
}

/** A session that was begun all the same is ended by the service, which hears nothing of it. */
async function givenUp({ ending, hurry }: Signals): Promise<never> {
  await new Promise((resolve) => ending.addEventListener('abort', resolve));
  await pause(ANSWER_MS, undefined, { ref: false, signal: hurry }).catch(() => undefined);
  throw ending.reason;
}

/** Looks after one session, from its start to its end. Returns the exit code. */
async function attempt(
  command: string[],
  options: Options,
  begun: Begun,
  signals: Signals,
): Promise<number> {
  const { session, moved } = begun;
  const places = placesOf(sessionsFolder(process.env), session.id);
  const ended = new AbortController();
  try {
    const saved = await take(places, begun);
    tell(greeting(begun));
    // What an earlier run could not send, beside this one.
    void syncAll(sessionsFolder(process.env), ended.signal).catch(() => undefined);
    const job = {
      command,
      session,
      saved,
      places,
      moved,
      env: agentEnvironment(process.env),
      everyTurns: options.checkpointEveryTurns,
      everyMs: options.checkpointEvery * 1000,
      graceMs: options.grace * 1000,
      resume: options.resume,
      maxBundleBytes: (Number(process.env['DEFIB_MAX_BUNDLE_MB']) || 256) * 1024 * 1024,
    };
    return await supervise(job, { clock: systemClock, tell }, signals);
  } catch (error) {
    // A spawner sees for itself that what it started has ended, and starts it again.
    if (options.session === undefined) await tellFailed(begun, error, signals.hurry);
    throw error;
  } finally {
    ended.abort();
    await leaveSession(places);
  }
}

/** Takes the session for this process, and writes down what a later one must know. */
async function take(places: Places, begun: Begun): Promise<SavedSession> {
  const { session, url, token, worktree } = begun;
  await makePlaces(places);
  await takeSession(places, TAKE_MS);
  const saved = {
    made: 0,
    commit: null,
    ...(await readSaved(places)),
    id: session.id,
    agentName: session.agentName,
    url,
    token,
    worktree,
  };
  await writeSaved(places, saved);
  return saved;
}

/** The work of a session whose command never ran is not resumed: whoever has called knows by now. */
async function tellFailed({ session, url, token }: Begun, error: unknown, hurry: AbortSignal) {
  const summary = `It was not started. ${messageOf(error)}`;
  const told = sessionApi({ url, token, id: session.id })
    .end({ kind: 'finish', outcome: 'failed', summary })
    .catch((cause: unknown) => tell(`The service was not told: ${messageOf(cause)}`));
  await Promise.race([told, aborted(hurry, ANSWER_MS)]);
}

function greeting({ session }: Begun): string {
  const { id, agentName, attempt, deadlineAt } = session;
  const again = attempt > 1 ? `, attempt ${attempt}` : '';
  const limit = deadlineAt === null ? '' : `, until ${deadlineAt}`;
  return `session ${id} of ${agentName}${again}${limit}`;
}

/** The agent acts for its session alone: what else lets one into the service stays with us. */
function agentEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { DEFIB_TOKEN: _, DEFIB_OPERATOR_TOKEN: __, ...rest } = env;
  return rest;
}
