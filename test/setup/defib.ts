import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { TestService } from './service.ts';

export const DEFIB = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

export type Outcome = { code: number | null; stdout: string; stderr: string };

export type RunningDefib = {
  pid: number;
  send(signal: NodeJS.Signals): void;
  stdout(): string;
  stderr(): string;
  /** From then on nobody reads what it says, as when a terminal or a `tee` has gone. */
  closeStderr(): void;
  /** Ends it. */
  stop(): Promise<void>;
  exited: Promise<Outcome>;
};

export type DefibOptions = {
  env?: Record<string, string | undefined>;
  /** A folder without a `.defib`, unless the test puts one there. */
  cwd?: string;
  /** What it reads from stdin. Default: nothing. */
  input?: string;
};

/** Whoever runs the tests may have a service, and have logged in to one. */
const NOBODY = { XDG_CONFIG_HOME: '/nonexistent', XDG_DATA_HOME: '/nonexistent' };

/** Starts `defib` as a process of its own, with this environment alone. */
export function startDefib(
  args: string[],
  { env = {}, cwd = '/', input }: DefibOptions,
): RunningDefib {
  const child = spawn(process.execPath, [DEFIB, ...args], {
    cwd,
    env: { PATH: process.env['PATH'], TZ: 'UTC', ...NOBODY, ...env },
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    timeout: 280_000,
    killSignal: 'SIGKILL',
  });
  child.stdin?.end(input);
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk: Buffer) => void (stdout += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => void (stderr += chunk.toString()));
  const exited = once(child, 'close').then(([code]) => ({
    code: code as number | null,
    stdout,
    stderr,
  }));
  return {
    pid: child.pid ?? 0,
    send: (signal) => void child.kill(signal),
    stdout: () => stdout,
    stderr: () => stderr,
    closeStderr: () => void child.stderr?.destroy(),
    exited,
    async stop() {
      child.kill('SIGTERM');
      await exited;
    },
  };
}

/** Runs `defib` to its end. */
export const defib = (args: string[], options: DefibOptions = {}): Promise<Outcome> =>
  startDefib(args, options).exited;

/** The environment of an operator of this service. */
export const operatorOf = ({ url, env }: TestService): Record<string, string> => ({
  DEFIB_URL: url,
  DEFIB_TOKEN: env['DEFIB_OPERATOR_TOKEN'] ?? '',
});
