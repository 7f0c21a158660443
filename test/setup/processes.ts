import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { tether } from './tether.ts';
import { until } from './until.ts';

export type Entry = 'main' | 'web' | 'worker';

export type ServiceProcess = {
  pid: number;
  /** Where it listens; empty for a worker. */
  url: string;
  /** Everything it has printed so far. */
  output(): string;
  send(signal: NodeJS.Signals): void;
  /** Its exit code, or the signal that ended it. */
  exited: Promise<number | NodeJS.Signals>;
  /** Kills it if it still lives. */
  kill(): Promise<void>;
};

/** What each process prints once it is up; the first group is its address. */
const READY: Record<Entry, RegExp> = {
  main: /Defib listens on (\S+)/,
  web: /"url":"([^"]+)","msg":"listening"/,
  worker: /"msg":"working"()/,
};

/** Starts `npm start`, `web` or `worker` as a process of its own, and waits until it is up. */
export async function startProcess(
  entry: Entry,
  env: Record<string, string>,
): Promise<ServiceProcess> {
  const started = await launch(entry, env);
  let ended = false;
  void started.exited.then(() => (ended = true));
  try {
    const ready = await until(`${entry} is up`, () => {
      if (ended) throw new Error(`${entry} ended: ${started.output()}`);
      return READY[entry].exec(started.output());
    });
    return { ...started, url: ready[1] ?? '' };
  } catch (error) {
    await started.kill();
    throw error;
  }
}

/** The same without waiting: for one that may die before it is up. */
export async function launch(
  entry: Entry,
  env: Record<string, string>,
): Promise<Omit<ServiceProcess, 'url'>> {
  const folder = await mkdtemp(join(tmpdir(), 'defib-process-'));
  const pidFile = join(folder, 'pid');
  const line = tether([pidFile], folder);
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL(`../../src/${entry}.ts`, import.meta.url))],
    {
      cwd: folder,
      env: { PATH: process.env['PATH'], HOME: folder, ...env, DEFIB_LOG_LEVEL: 'info' },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let output = '';
  const collect = (chunk: Buffer) => void (output += chunk.toString());
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const exited = once(child, 'exit').then(([code, signal]) => code ?? signal);
  await once(child, 'spawn');
  await writeFile(pidFile, `${child.pid}\n`);
  return {
    pid: child.pid!,
    output: () => output,
    send: (signal) => void child.kill(signal),
    exited,
    kill: async () => {
      child.kill('SIGKILL');
      await exited;
      await line.release();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
