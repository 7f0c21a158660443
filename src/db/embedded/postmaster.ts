import { execFile } from 'node:child_process';
import { readFile, readlink, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { AppError } from '../../errors.ts';
import type { Log } from './log.ts';

/** What `postmaster.pid` says. The server keeps it while it runs, and leaves it when it is killed. */
export type Postmaster = { pid: number; ready: boolean };

export async function readPostmaster(pgdata: string): Promise<Postmaster | undefined> {
  const text = await readFile(join(pgdata, 'postmaster.pid'), 'utf8').catch(() => '');
  const lines = text.split('\n');
  // Negative for a server in single-user mode.
  const pid = Math.abs(Number(lines[0]));
  if (!Number.isInteger(pid) || pid === 0) return undefined;
  return { pid, ready: lines[7]?.trim() === 'ready' };
}

/**
 * Ends a server that a killed instance left behind on this folder. The caller holds the folder's
 * lock, so whoever started it is gone.
 *
 * It is stopped, not adopted: a fresh start has this release's programs and settings, and with the
 * old server's sessions every statement ends that the dead instance still had under way.
 */
export async function stopOrphan(pgdata: string, log: Log): Promise<void> {
  const found = await readPostmaster(pgdata);
  if (found === undefined || !isAlive(found.pid)) return;
  if (!(await servesFolder(found.pid, pgdata))) {
    // The machine restarted and another program has the pid. The server itself would only see that
    // the pid is taken, and refuse to start.
    log('warn', 'Removed a stale postmaster.pid', { pid: found.pid });
    await rm(join(pgdata, 'postmaster.pid'), { force: true });
    return;
  }
  log('warn', 'Stopping the PostgreSQL that an earlier instance left running', { pid: found.pid });
  // Not `isAlive`: in a container without an init process a dead orphan stays a zombie for ever.
  await endProcess(found.pid, async () => !(await servesFolder(found.pid, pgdata)));
}

type Condition = () => boolean | Promise<boolean>;

/**
 * Fast shutdown, then immediate, then kill: each when the one before brought nothing. None loses
 * committed data, the later ones only cost a recovery at the next start.
 */
export async function endProcess(pid: number, ended: Condition): Promise<void> {
  const steps = [
    { signal: 'SIGINT', patienceMs: 30_000 },
    { signal: 'SIGQUIT', patienceMs: 5_000 },
    { signal: 'SIGKILL', patienceMs: 5_000 },
  ] as const;
  for (const { signal, patienceMs } of steps) {
    if (await ended()) return;
    sendSignal(pid, signal);
    if (await becomesTrue(ended, patienceMs)) return;
  }
  throw new AppError('unavailable', `PostgreSQL (pid ${pid}) does not end. Stop it by hand.`);
}

async function becomesTrue(condition: Condition, patienceMs: number): Promise<boolean> {
  const deadline = performance.now() + patienceMs;
  while (!(await condition())) {
    if (performance.now() > deadline) return false;
    await sleep(10);
  }
  return true;
}

/** Signal 0 asks whether the process exists. False when there is none. */
export function sendSignal(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false;
    throw error;
  }
}

function isAlive(pid: number): boolean {
  try {
    return sendSignal(pid, 0);
  } catch {
    // It exists, and belongs to somebody else.
    return true;
  }
}

/** Whether a process is a server on this folder: it works in it, and is started with its path. */
async function servesFolder(pid: number, pgdata: string): Promise<boolean> {
  if (process.platform === 'linux') {
    const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => undefined);
    const command = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '');
    return cwd === pgdata && command.startsWith('postgres');
  }
  const ps = promisify(execFile)('ps', ['-ww', '-o', 'command=', '-p', String(pid)]);
  const { stdout } = await ps.catch(() => ({ stdout: '' }));
  return stdout.includes('postgres') && stdout.includes(pgdata);
}
