import { appendFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import { note } from './frame/output.ts';
import { wholeNumber } from './frame/pages.ts';
import { printable } from './frame/printable.ts';
import { ANSWER_MS } from './run/attempt.ts';
import { runChain } from './run/chain.ts';
import { assertCommand } from './run/child.ts';
import { openService } from './frame/service.ts';
import { takeUp } from './resume.ts';
import { waitingOf } from './run/issue.ts';
import { filled, nextCommandOf, templateOf } from './run/next-command.ts';
import { type RunOptions, withRunOptions, withSignals } from './run/options.ts';
import { sessionApi } from './run/session-api.ts';
import { readSetup } from './run/setup.ts';
import type { Signals } from './run/signals.ts';
import { furnish, whileBeating } from './run/take-up.ts';
import { worktreeOf } from './run/worktree.ts';
import { takeOver } from './run/resumed.ts';
import { type Begun, begin, givenSession, type StartOptions } from './run/start.ts';

type Options = StartOptions & RunOptions & { take?: true; takeOver?: true };

export function define(command: Command): void {
  withRunOptions(command)
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
    .option('--take', 'take up what waits, if this issue was begun before')
    .addOption(new Option('--take-over', 'of a worker: where its supervisor has died').hideHelp())
    .option('--session <id>', 'go on with a session; its token is in DEFIB_SESSION_TOKEN')
    .addHelpText(
      'after',
      `
Examples:
  defib run -- claude -p "fix the build"
  defib run --issue https://github.com/acme/app/issues/42 --timeout 3600 -- codex exec "fix #42"
  defib run --attempts 3 --resume-with 'my-agent --prompt-file {promptFile}' -- my-agent "fix it"

An attempt that fails or reaches its limit is followed by the next one, here, with a prompt that says what was
done: for Claude Code, Codex, Gemini CLI, OpenCode and pi by themselves, for others with --resume-with (its arguments
may be {promptFile}, {prompt}, {worktree} and {sessionId}) or --rerun. Ctrl-C ends it.

Exit code: that of the last attempt. The command's (128 + n for signal n); 124 at the time limit; 90 when the session is over
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

const tell = (text: string): void => note(`defib: ${printable(text)}`);

async function run(command: string[], options: Options): Promise<void> {
  await withSignals(tell, async (signals) => {
    await assertCommand(command);
    // What a spawner has started, that starts again.
    const isOwn = options.resume && options.session === undefined;
    if (options.takeOver && options.session !== undefined) {
      const given = await givenSession(options.session, process.env, tell, signals.ending);
      const work = { graceMs: options.grace * 1000, tell, ending: signals.ending };
      const ready = await takeOver({ ...given, ...work, next: filled(command) });
      return await runChain(ready, undefined, options, { signals, tell });
    }
    const next = isOwn ? await nextCommandOf(command, options) : undefined;
    const worktree = worktreeOf(process.cwd(), process.env);
    // What cannot be read is said before anything is begun.
    if (isOwn && worktree !== null) await readSetup(worktree);
    const template = isOwn ? await templateOf(command, options) : undefined;
    const asked = { ...options, template };
    const beginning = begin(asked, command, process.env, tell, signals.ending);
    const begun = await Promise.race([beginning, givenUp(signals)]).catch(
      async (error: unknown) => {
        const session = await waitingOf(error, options);
        if (!session) throw error;
        return session;
      },
    );
    if ('attempts' in begun) {
      const service = await openService();
      return await takeUp({ ...service, session: begun, command, options, signals });
    }
    if (options.session !== undefined) await furnishGiven(begun, options, signals);
    const spot = { worktree: begun.worktree, cwd: process.cwd(), place: undefined };
    return await runChain({ command, begun, spot }, next, options, { signals, tell });
  });
}

/** A worktree that a worker has restored is new. What of its setup fails stands in the prompt's file. */
async function furnishGiven(
  { session, url, token, worktree }: Begun,
  { grace }: RunOptions,
  { ending }: Signals,
): Promise<void> {
  if (session.resumedFrom === null || worktree === null) return;
  const api = sessionApi({ url, token, id: session.id });
  const work = { graceMs: grace * 1000, tell, ending };
  const note = await whileBeating(api, () => furnish(api, worktree, work));
  const file = process.env['DEFIB_PROMPT_FILE'];
  if (note !== '' && file) await appendFile(file, note);
}

/** A session that was begun all the same is ended by the service, which hears nothing of it. */
async function givenUp({ ending, hurry }: Signals): Promise<never> {
  await new Promise((resolve) => ending.addEventListener('abort', resolve));
  await pause(ANSWER_MS, undefined, { ref: false, signal: hurry }).catch(() => undefined);
  throw ending.reason;
}
