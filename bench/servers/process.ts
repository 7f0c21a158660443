import { spawn } from 'node:child_process';
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

const OUTPUT_KEPT = 8_000;

export type ServerProcess = {
  /** The last characters that it wrote, for error messages. */
  output(): string;
  exited(): boolean;
  /** Null while it runs, and when a signal ended it. */
  exitCode(): number | null;
  /** Sends the signal, waits, and after `deadlineMs` sends SIGKILL. Resolves once it is gone. */
  stop(signal: NodeJS.Signals, deadlineMs: number): Promise<void>;
};

/** Starts one server as a child; only ever ended through the returned handle, by its own pid. */
export function startProcess(
  command: string,
  args: string[],
  options: Pick<SpawnOptions, 'env' | 'cwd' | 'uid' | 'gid'> = {},
): ServerProcess {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-OUTPUT_KEPT);
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  child.on('error', (error) => keep(Buffer.from(error.message)));
  return {
    output: () => output,
    exited: () => hasExited(child),
    exitCode: () => child.exitCode,
    stop: (signal, deadlineMs) => stopChild(child, signal, deadlineMs),
  };
}

// A command that could not be spawned has neither a pid nor an exit code.
const hasExited = (child: ChildProcess): boolean =>
  child.pid === undefined || child.exitCode !== null || child.signalCode !== null;

async function stopChild(
  child: ChildProcess,
  signal: NodeJS.Signals,
  deadlineMs: number,
): Promise<void> {
  if (!hasExited(child)) child.kill(signal);
  await endOf(child, deadlineMs);
}

/** Waits for a child that was told to end; after `deadlineMs` sends SIGKILL. */
export async function endOf(child: ChildProcess, deadlineMs: number): Promise<void> {
  if (hasExited(child)) return;
  const kill = setTimeout(() => child.kill('SIGKILL'), deadlineMs);
  await once(child, 'exit');
  clearTimeout(kill);
}

/** Polls until `ready` is true. Throws with the server's own words when it exits or is late. */
export async function waitUntilReady(
  name: string,
  server: ServerProcess,
  ready: () => Promise<boolean>,
  deadlineMs: number,
): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  while (!(await ready().catch(() => false))) {
    if (server.exited()) throw new Error(`${name} ended while it started:\n${server.output()}`);
    if (Date.now() > deadline) {
      throw new Error(`${name} was not ready within ${deadlineMs} ms:\n${server.output()}`);
    }
    await delay(25);
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
