import { readdirSync, readFileSync } from 'node:fs';

export type Member = {
  pid: number;
  /** What runs in it, 15 characters at most. */
  name: string;
  /** Bytes of memory that it has now, and that it had at most. */
  rss: number;
  peak: number;
};

/** A process and all its living descendants, by proc(5). Who is gone in the meantime is left out. */
export function processTree(pid: number): Member[] {
  const self = memberOf(pid);
  return self ? [self, ...childrenOf(pid).flatMap(processTree)] : [];
}

function memberOf(pid: number): Member | undefined {
  const status = read(`/proc/${pid}/status`);
  const bytes = (field: string) =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0) * 1024;
  const name = /^Name:\t(.*)$/m.exec(status)?.[1];
  return name === undefined ? undefined : { pid, name, rss: bytes('VmRSS'), peak: bytes('VmHWM') };
}

/** Each thread has children of its own. */
function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      read(`/proc/${pid}/task/${thread}/children`).split(' ').filter(Boolean).map(Number),
    );
  } catch {
    return [];
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
