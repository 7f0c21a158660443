import { Command, CommanderError } from 'commander';
import { COMMANDS } from '../commands.ts';
import { version } from '../../version.ts';
import { report } from './errors.ts';

const EXAMPLES = `
Examples:
  defib up                                   start the service; Ctrl-C stops it
  defib run -- claude -p "fix it"            run an agent as a session that survives
  defib agents set builder --repo acme/app   say what an agent works on
  defib token issue --agent builder          a token for it
  defib sessions --needs-attention           what a person must look at
  defib logs --follow builder                watch an agent
  defib doctor                               find out why something does not work

Environment:
  DEFIB_URL     where the service is (default: your own, which runs on this machine)
  DEFIB_TOKEN   how to get in; the operator token of your own service is found by itself
`;

/**
 * Runs `defib` with these arguments.
 *
 * @returns the exit code: 0 done, 1 failed, 2 not understood
 */
export async function runProgram(args: string[]): Promise<number> {
  // Of `defib sessions | head`, the reader may go first.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  // Nobody reads it any more; to say so would fail in the same way, again and again.
  process.stderr.on('error', () => undefined);
  try {
    await createProgram().parseAsync(args, { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (!(error instanceof CommanderError)) return report(error, args.includes('--json'));
    return error.exitCode === 0 ? 0 : 2;
  }
}

/** The program with all commands by name; a command is loaded when its arguments are to be read. */
function createProgram(): Command {
  const program = emptyProgram();
  for (const entry of COMMANDS) {
    const { name, summary, hidden = false } = entry;
    program.command(name, { hidden }).summary(summary);
  }
  return program.hook('preSubcommand', async (_, command) => {
    await load(command);
  });
}

/** The program with every command loaded: for completion, which shows all of them. */
export async function createFullProgram(): Promise<Command> {
  const program = emptyProgram();
  for (const { name, summary, hidden = false } of COMMANDS) {
    await load(program.command(name, { hidden }).summary(summary));
  }
  return program;
}

async function load(command: Command): Promise<void> {
  const entry = COMMANDS.find(({ name }) => name === command.name());
  if (!entry || !('load' in entry)) return;
  const { define } = await entry.load();
  define(command);
}

function emptyProgram(): Command {
  return new Command('defib')
    .description('Heartbeats, checkpoints and resume for coding agents.')
    .version(version())
    .helpCommand(false)
    .showHelpAfterError('(--help shows what there is)')
    .configureHelp({ sortSubcommands: false })
    .addHelpText('after', EXAMPLES)
    .exitOverride();
}
