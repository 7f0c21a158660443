import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { isatty } from 'node:tty';
import { findProgram } from '../../program.ts';
import { CliError } from '../frame/errors.ts';
import { endAll } from '../../end-processes.ts';
import { membersOf } from '../../process-list.ts';

export type Exit = {
  /** As a shell gives it: 128 + n for signal n. */
  code: number;
  signal: NodeJS.Signals | null;
};

export type Child = {
  exited: Promise<Exit>;
  /** Whether it shares the terminal, and the signals that its keys send. */
  onTerminal: boolean;
  /** Signals the command alone. */
  signal(name: NodeJS.Signals): void;
  /**
   * Ends the command and everything that it started: SIGTERM, then SIGKILL until none is left. Returns
   * those that are there all the same: the kernel holds them.
   */
  end(graceMs: number): Promise<number[]>;
};

/**
 * Starts the agent's command. Its standard input and outputs are ours, untouched.
 *
 * Without a terminal it gets a session and process group of its own, so that a signal to ours does
 * not reach it on the way. With one it stays in our group: a group of its own would be a background
 * job, which the kernel stops as soon as it reads or sets the terminal (SIGTTIN, SIGTTOU), and making it
 * the foreground group takes tcsetpgrp(3), which Node does not have. There Ctrl-C and Ctrl-Z come to both
 * of us from the kernel, as in any pipeline, and are not forwarded. Either way its processes are found by
 * more than the group, see {@link membersOf}.
 *
 * @throws CliError `no_command`, with the exit code that a shell has for it
 */
export async function startChild(
  [program = '', ...args]: string[],
  options: { env: NodeJS.ProcessEnv; mark: string; cwd: string },
): Promise<Child> {
  const onTerminal = [0, 1, 2].some((fd) => isatty(fd));
  const child = spawn(program, args, {
    stdio: 'inherit',
    detached: !onTerminal,
    cwd: options.cwd,
    env: options.env,
  });
  const exited = once(child, 'exit').then(([code, signal]) => exitOf(code, signal));
  // Not started: told below.
  exited.catch(() => undefined);
  await once(child, 'spawn').catch((error: NodeJS.ErrnoException) => {
    throw new NoCommand(program, error);
  });
  const family = { root: child.pid ?? 0, leads: !onTerminal, mark: options.mark };
  return {
    exited,
    onTerminal,
    signal: (name) => void child.kill(name),
    end: (graceMs) => endAll(() => membersOf(family), graceMs),
  };
}

export class NoCommand extends CliError {
  readonly exitCode: number;

  constructor(program: string, { code }: Pick<NodeJS.ErrnoException, 'code'>) {
    const missing = code === 'ENOENT';
    const why = missing ? 'there is no such program' : `it cannot be run (${code})`;
    super('no_command', `"${program}" was not started: ${why}.`);
    this.exitCode = missing ? 127 : 126;
  }
}

/**
 * Before anything is begun for it: a mistyped program would leave a session behind, and perhaps an agent.
 *
 * @throws NoCommand
 */
export async function assertCommand([program = '']: string[]): Promise<void> {
  const state = await findProgram(program, { folder: process.cwd() });
  if (state !== 'found') {
    throw new NoCommand(program, { code: state === 'missing' ? 'ENOENT' : 'EACCES' });
  }
}

const exitOf = (code: number | null, signal: NodeJS.Signals | null): Exit => ({
  code: code ?? 128 + (signal ? constants.signals[signal] : 0),
  signal,
});
