import { type Command, InvalidArgumentError } from 'commander';
import { note } from './frame/output.ts';
import { wholeNumber } from './frame/pages.ts';
import { printable } from './frame/printable.ts';
import { NoCommand } from './run/child.ts';
import { systemClock } from './run/clock.ts';
import {
  leaveSession,
  makePlaces,
  placesOf,
  readSaved,
  sessionsFolder,
  takeSession,
  writeSaved,
} from './run/places.ts';
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
    .option('--agent <name>', 'the agent; default: DEFIB_AGENT, or the name of the command')
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
    .action(run);
}

function seconds(text: string): number {
  if (!/^\d{1,5}(\.\d+)?$/.test(text)) throw new InvalidArgumentError('It must be a number.');
  return Number(text);
}

const tell = (text: string): void => note(`defib: ${printable(text)}`);

/** A `defib sync` that is under way has a session for no longer than this. */
const TAKE_MS = 10_000;

async function run(command: string[], options: Options): Promise<void> {
  const sessions = sessionsFolder(process.env);
  const begun = await begin(options, command, process.env, tell);
  const { session, url, token, worktree, moved } = begun;
  const places = placesOf(sessions, session.id);
  await makePlaces(places);
  await takeSession(places, TAKE_MS);
  const ended = new AbortController();
  try {
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
    tell(greeting(begun));
    // What an earlier run could not send, beside this one.
    void syncAll(sessions, ended.signal).catch(() => undefined);
    process.exitCode = await supervise(
      {
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
      },
      { clock: systemClock, tell },
    );
  } catch (error) {
    if (!(error instanceof NoCommand)) throw error;
    tell(error.message);
    process.exitCode = error.exitCode;
  } finally {
    ended.abort();
    await leaveSession(places);
  }
  // A call that is still under way is of no use any more. To cut it off by its signal can throw, out of
  // reach of whoever waits for it.
  process.exit();
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
