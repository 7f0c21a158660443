import { Argument, type Command } from 'commander';
import { createTwoFilesPatch } from 'diff';
import { existsSync } from 'node:fs';
import { mkdir, readFile, realpath, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { createInterface } from 'node:readline/promises';
import type { Readable, Writable } from 'node:stream';
import { adapterOf } from '../adapters/adapter.ts';
import { withoutSettings, withSettings } from '../adapters/apply-settings.ts';
import { type Agent, AGENTS } from '../adapters/event.ts';
import { SettingsError } from '../adapters/settings.ts';
import { CliError } from './frame/errors.ts';

export type InitIo = {
  stdin: Readable & { isTTY?: boolean };
  stdout: Writable;
  env: NodeJS.ProcessEnv;
  cwd: string;
};

export function define(command: Command): void {
  command
    .description(
      'Makes a coding agent call "defib hook", so that its sessions are saved as it works. Shows what would change, and asks before it writes.',
    )
    .addArgument(
      new Argument('<agent>', 'which one').choices(AGENTS.filter((agent) => agent !== 'generic')),
    )
    .option('--user', 'for all projects of this user, rather than for this project', false)
    .option('--undo', 'take out what was written, and nothing else', false)
    .option('-y, --yes', 'do not ask', false)
    .option('--command <text>', 'how the agent is to start Defib', 'defib')
    .addHelpText(
      'after',
      `
Examples:
  defib init claude-code
  defib init codex --user --yes
  defib init claude-code --undo`,
    )
    .action(async (agent: Agent, options: InitOptions) => {
      const { stdin, stdout, env } = process;
      await initAgent(agent, options, { stdin, stdout, env, cwd: process.cwd() });
    });
}

export type InitOptions = { user: boolean; undo: boolean; yes: boolean; command: string };

/**
 * Writes, or with `undo` takes out, what makes the agent call Defib.
 *
 * @throws CliError `settings` when a file is not what it should be, `not_written` without a yes
 */
export async function initAgent(agent: Agent, options: InitOptions, io: InitIo): Promise<void> {
  const { user, undo, yes, command } = options;
  const { settings: settingsOf } = await adapterOf(agent);
  const settings = settingsOf?.({
    project: projectOf(io.cwd),
    user,
    env: io.env,
    home: io.env['HOME'] || homedir(),
    command: `${command} hook ${agent}`,
  });
  if (!settings) throw new CliError('settings', `There is nothing to write for ${agent}.`);
  const { file, note } = settings;
  const before = await inFile(file.path, () => read(file.path));
  const after = await inFile(file.path, () =>
    undo ? withoutSettings(file, agent, before) : withSettings(file, agent, before),
  );
  if (after === before) {
    io.stdout.write(`Nothing to do: ${file.path} is as it should be.\n`);
    return;
  }
  io.stdout.write(difference(relative(io.cwd, file.path), before, after));
  if (!yes) await confirm(io);
  await inFile(file.path, () => write(file.path, after));
  io.stdout.write(`${after === null ? 'Deleted' : 'Wrote'} ${file.path}\n`);
  if (note && !undo) io.stdout.write(`${note}\n`);
}

/** The folder of the repository, or where we are when there is none. */
function projectOf(cwd: string): string {
  for (let folder = cwd; ; folder = dirname(folder)) {
    if (existsSync(join(folder, '.git'))) return folder;
    if (folder === dirname(folder)) return cwd;
  }
}

/** Names the file in what goes wrong with it. */
async function inFile<T>(path: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const isKnown = error instanceof SettingsError || (error instanceof Error && 'code' in error);
    if (!isKnown) throw error;
    throw new CliError('settings', `${path}: ${error.message}`, 'Nothing was written.');
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

async function confirm({ stdin, stdout }: InitIo): Promise<void> {
  if (!stdin.isTTY) {
    throw new CliError('not_written', 'There is no terminal to ask on.', 'Add --yes to write it.');
  }
  const terminal = createInterface({ input: stdin, output: stdout });
  try {
    const answer = await terminal.question('Write this? [y/N] ');
    if (!/^y(es)?$/i.test(answer.trim())) throw new CliError('not_written', 'Nothing was written.');
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
