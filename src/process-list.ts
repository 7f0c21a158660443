import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';

type Process = {
  pid: number;
  parent: number;
  group: number;
  dead: boolean;
  stopped: boolean;
  start: string;
};

const ON_LINUX = existsSync('/proc/self/stat');

/** When a process began, in a form that only serves to compare; empty where there is none. */
export const startOf = (pid: number): string => find(pid)?.start ?? '';

/** Whether the process that began then still runs; one that has ended and was not waited for does not. */
export function isAlive({ pid, start }: { pid: number; start: string }): boolean {
  const found = find(pid);
  return found !== undefined && found.start === start && !found.dead;
}

/** Whether it stands still, as by Ctrl-Z. */
export function isStopped({ pid, start }: { pid: number; start: string }): boolean {
  const found = find(pid);
  return found !== undefined && found.start === start && found.stopped;
}

const find = (pid: number): Process | undefined =>
  ON_LINUX ? processIn(String(pid)) : listByPs().find((one) => one.pid === pid);

/** What a session's agent and all that it starts carry in their environment. */
export const markOf = (sessionId: string): string => `DEFIB_SESSION_ID=${sessionId}`;

export type Family = {
  /** The process that was started. */
  root: number;
  /** Whether it leads a process group of its own. */
  leads: boolean;
  /** `NAME=value` in the environment of all that it starts, and of nothing else. */
  mark: string;
};

/**
 * The living processes of a command: its process group, its descendants and, on Linux, whoever carries
 * its mark. A daemon leaves both the group and the family tree, but its environment stays.
 */
export function membersOf({ root, leads, mark }: Family): number[] {
  return livingOf(
    ({ pid, group }) =>
      pid === root || (leads && group === root) || (ON_LINUX && carries(pid, mark)),
  );
}

/** The living processes that carry one of these marks, with what they started. On Linux alone; elsewhere none is seen. */
export const carriersOf = (marks: string[]): number[] =>
  ON_LINUX ? livingOf(({ pid }) => marks.some((mark) => carries(pid, mark))) : [];

/** Processes and all that they started, but not this one. */
function livingOf(isRoot: (process: Process) => boolean): number[] {
  const all = ON_LINUX ? listByProc() : listByPs();
  const children = Map.groupBy(all, ({ parent }) => parent);
  const members = new Set<number>();
  const add = (pid: number): void => {
    if (members.has(pid)) return;
    members.add(pid);
    for (const child of children.get(pid) ?? []) add(child.pid);
  };
  for (const one of all) if (isRoot(one)) add(one.pid);
  // This process may carry the mark too: a supervisor is started with it, and with its parents.
  for (const pid of ancestorsOf(process.pid, all)) members.delete(pid);
  return all.filter(({ pid, dead }) => members.has(pid) && !dead).map(({ pid }) => pid);
}

function ancestorsOf(pid: number, all: Process[]): number[] {
  const self = all.find((one) => one.pid === pid);
  return self ? [pid, ...ancestorsOf(self.parent, all)] : [];
}

function listByProc(): Process[] {
  return readdirSync('/proc').flatMap((name) => {
    const found = /^\d+$/.test(name) ? processIn(name) : undefined;
    return found ? [found] : [];
  });
}

/** proc_pid_stat(5). The name of the program is in parentheses, and may hold any character. */
function processIn(pid: string): Process | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state = '', parent, group] = fields;
  return {
    pid: Number(pid),
    parent: Number(parent),
    group: Number(group),
    dead: 'ZX'.includes(state),
    stopped: 'Tt'.includes(state),
    start: fields[19] ?? '',
  };
}

/** Only the environment it was started with can be read, and only of one's own processes. */
function carries(pid: number, mark: string): boolean {
  try {
    return `\0${readFileSync(`/proc/${pid}/environ`, 'latin1')}`.includes(`\0${mark}\0`);
  } catch {
    return false;
  }
}

function listByPs(): Process[] {
  const { stdout } = spawnSync('ps', ['-A', '-o', 'pid=,ppid=,pgid=,state=,lstart='], {
    encoding: 'utf8',
  });
  return (stdout ?? '').split('\n').flatMap((line) => {
    const [, pid, parent, group, state = '', start = ''] =
      /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    if (pid === undefined) return [];
    const numbers = { pid: Number(pid), parent: Number(parent), group: Number(group) };
    return [{ ...numbers, dead: state.startsWith('Z'), stopped: state.startsWith('T'), start }];
  });
}
