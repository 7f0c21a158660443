import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { put } from '../services/git/helpers.ts';
import { type RunningDefib, startDefib } from './defib.ts';
import { type Resumable, startResumable } from './resumable.ts';
import { until } from './until.ts';

/** A service, and `defib run` on the same machine as its worker. */
export type Supervised = Resumable & {
  /** The environment of `defib run`, with the agent's token. */
  env: Record<string, string>;
  /** DEFIB_STATE_DIR/sessions */
  kept: string;
  /** Starts `defib run` with these options and this agent. */
  run(options: RunOptions): RunningDefib;
  /** The id of the session that a supervisor has begun. */
  idOf(running: RunningDefib): Promise<string>;
};

export type RunOptions = {
  cwd: string;
  /** A shell script as the agent; or another program. */
  script?: string;
  program?: string[];
  options?: string[];
  env?: Record<string, string | undefined>;
};

export async function startSupervised(env: Record<string, string> = {}): Promise<Supervised> {
  const flow = await startResumable('postgres', env);
  const state = join(flow.root, 'state');
  const own = {
    DEFIB_URL: flow.service.url,
    DEFIB_TOKEN: flow.agent,
    DEFIB_AGENT: 'builder',
    DEFIB_HOSTNAME: 'here',
    DEFIB_STATE_DIR: state,
    HOME: flow.root,
  };
  const running: RunningDefib[] = [];
  return {
    ...flow,
    env: own,
    kept: join(state, 'sessions'),
    run({ cwd, script = '', program = ['sh', '-c', script], options = [], env = {} }) {
      const args = ['run', '--grace', '1', ...options, '--', ...program];
      const one = startDefib(args, { cwd, env: { ...own, ...env } });
      running.push(one);
      return one;
    },
    idOf: (one) =>
      until('the session has begun', () => /session ([0-9a-f-]{36}) of/.exec(one.stderr())?.[1]),
    stop: async () => {
      // Supervisors, and agents that a test left without one.
      for (const pid of carrying(flow.root)) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // It ended in between.
        }
      }
      await Promise.all(running.map(({ exited }) => exited));
      await flow.stop();
    },
  };
}

/** Shell: waits until a file is there; a test puts it there. */
export const waitFor = (file: string): string => `until [ -e '${file}' ]; do sleep 0.05; done`;

/** Shell: what a hook does that tells of an event. */
export const hookEvent = (kind: string, more: object = {}): string => {
  const event = { kind, sessionRef: 's', ...more };
  return `printf '%s' '${JSON.stringify(event)}' | '${process.execPath}' '${MAIN}' hook generic`;
};
const MAIN = join(import.meta.dirname, '../../src/cli/main.ts');

/** Whether a process is there, and not only its entry in the table. */
export function lives(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return !/\) [ZX] /.test(stat);
  } catch {
    return false;
  }
}

/** The living processes that have a text in their environment. */
export function carrying(text: string): number[] {
  return readdirSync('/proc').flatMap((name) => {
    try {
      const ours = readFileSync(`/proc/${name}/environ`, 'latin1').includes(text);
      return ours && lives(Number(name)) ? [Number(name)] : [];
    } catch {
      return [];
    }
  });
}

/** The process id that a script wrote to a file. */
export const pidIn = (file: string): Promise<number> =>
  until(`${file} has a process id`, () =>
    existsSync(file) ? Number(readFileSync(file, 'utf8').trim()) : 0,
  );

export function touch(folder: string, name: string): void {
  mkdirSync(folder, { recursive: true });
  put(folder, name, '');
}

export const listed = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder) : []);
