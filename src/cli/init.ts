import { createTwoFilesPatch } from 'diff';
import { existsSync } from 'node:fs';
import { mkdir, readFile, realpath, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { createInterface } from 'node:readline/promises';
import type { Readable, Writable } from 'node:stream';
import { parseArgs } from 'node:util';
import { adapterOf } from '../adapters/adapter.ts';
import { withoutSettings, withSettings } from '../adapters/apply-settings.ts';
import { type Agent, AGENTS } from '../adapters/event.ts';
import { SettingsError } from '../adapters/settings.ts';

export type InitIo = {
  stdin: Readable & { isTTY?: boolean };
  stdout: Writable;
  stderr: Writable;
  env: NodeJS.ProcessEnv;
  cwd: string;
};

const USAGE = `Usage: defib init <agent> [options]

Makes a coding agent call \`defib hook\`, so that its sessions are saved as it works.
Shows what would change, and asks before it writes.

Agents: ${AGENTS.filter((agent) => agent !== 'generic').join(', ')}

Options:
  --user             for all projects of this user, rather than for this project
  --undo             take out what was written, and nothing else
  --yes              do not ask
  --command <text>   how the agent starts Defib (default: defib)

Examples:
  defib init claude-code
  defib init codex --user --yes
  defib init claude-code --undo
`;

/** `defib init <agent>`. Gives 0 when the settings are as asked, 1 when not, 2 for a wrong call. */
export async function run(argv: string[], io: InitIo): Promise<number> {
  try {
    const request = parse(argv);
    if (request === 'help') {
      io.stdout.write(USAGE);
      return 0;
    }
    return await change(request, io);
  } catch (error) {
    if (error instanceof UsageError) {
      io.stderr.write(`${error.message}\n\n${USAGE}`);
      return 2;
    }
    if (!(error instanceof SettingsError)) throw error;
    io.stderr.write(`${error.message} Nothing was written.\n`);
    return 1;
  }
}

class UsageError extends Error {}

type Request = { agent: Agent; user: boolean; undo: boolean; yes: boolean; command: string };

function parse(args: string[]): Request | 'help' {
  const { values, positionals } = parsed(args);
  if (values.help) return 'help';
  const agent = AGENTS.find((name) => name === positionals[0]);
  if (!agent || positionals.length > 1) throw new UsageError('Name one agent.');
  const { user, undo, yes, command } = values;
  return { agent, user, undo, yes, command };
}

function parsed(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        user: { type: 'boolean', default: false },
        undo: { type: 'boolean', default: false },
        yes: { type: 'boolean', short: 'y', default: false },
        command: { type: 'string', default: 'defib' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

async function change(request: Request, io: InitIo): Promise<number> {
  const { agent, user, undo } = request;
  const { settings: settingsOf } = await adapterOf(agent);
  if (!settingsOf) {
    throw new UsageError(`For "${agent}" there is nothing to write: let it run \`defib hook\`.`);
  }
  const { file, note } = settingsOf({
    project: projectOf(io.cwd),
    user,
    env: io.env,
    home: io.env['HOME'] || homedir(),
    command: `${request.command} hook ${agent}`,
  });
  const before = await read(file.path);
  const after = await inFile(file.path, () =>
    undo ? withoutSettings(file, agent, before) : withSettings(file, agent, before),
  );
  if (after === before) {
    io.stdout.write(`Nothing to do: ${file.path} is as it should be.\n`);
    return 0;
  }
  io.stdout.write(difference(relative(io.cwd, file.path), before, after));
  if (!request.yes && !(await confirmed(io))) {
    io.stderr.write('Nothing was written.\n');
    return 1;
  }
  await write(file.path, after);
  io.stdout.write(`${after === null ? 'Deleted' : 'Wrote'} ${file.path}\n`);
  if (note && !undo) io.stdout.write(`${note}\n`);
  return 0;
}

/** The folder of the repository, or where we are when there is none. */
function projectOf(cwd: string): string {
  for (let folder = cwd; ; folder = dirname(folder)) {
    if (existsSync(join(folder, '.git'))) return folder;
    if (folder === dirname(folder)) return cwd;
  }
}

async function inFile<T>(path: string, edit: () => T): Promise<T> {
  try {
    return edit();
  } catch (error) {
    if (error instanceof SettingsError) throw new SettingsError(`${path}: ${error.message}`);
    throw error;
  }
}

async function read(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function difference(name: string, before: string | null, after: string | null): string {
  const [from, to] = [before, after].map((text) => (text === null ? '/dev/null' : name));
  const patch = createTwoFilesPatch(from ?? '', to ?? '', before ?? '', after ?? '');
  return patch.replace(/^=+\n/, '');
}

async function confirmed({ stdin, stdout, stderr }: InitIo): Promise<boolean> {
  if (!stdin.isTTY) {
    stderr.write('There is no terminal to ask on: add --yes.\n');
    return false;
  }
  const terminal = createInterface({ input: stdin, output: stdout });
  try {
    return /^y(es)?$/i.test((await terminal.question('Write this? [y/N] ')).trim());
  } finally {
    terminal.close();
  }
}

/** Whole or not at all; a link stays a link, and a mode a mode. Null deletes the file. */
async function write(path: string, text: string | null): Promise<void> {
  if (text === null) {
    await rm(path);
    await removeEmpty(dirname(path));
    return;
  }
  await mkdir(dirname(path), { recursive: true });
  const target = await realpath(path).catch(() => path);
  const mode = await stat(target).then(
    (found) => found.mode,
    () => 0o644,
  );
  const draft = `${target}.defib-${process.pid}`;
  await writeFile(draft, text, { mode });
  await rename(draft, target);
}

/** Folders that held nothing but what was deleted: at most `.opencode/plugins` and the like. */
async function removeEmpty(folder: string): Promise<void> {
  try {
    await rmdir(folder);
    await rmdir(dirname(folder));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw error;
  }
}

if (import.meta.main) {
  const { stdin, stdout, stderr, env } = process;
  process.exitCode = await run(process.argv.slice(2), {
    stdin,
    stdout,
    stderr,
    env,
    cwd: process.cwd(),
  });
}
