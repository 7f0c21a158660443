import { setTimeout as pause } from 'node:timers/promises';
import { carriersOf } from './process-list.ts';

/** How long SIGKILL is repeated. Only a process inside a stuck system call outlives that. */
const KILL_MS = 5000;
const LOOK_MS = 50;

/** Ends processes: SIGTERM, then SIGKILL until none is left. Returns those that are there all the same. */
export async function endAll(members: () => number[], graceMs: number): Promise<number[]> {
  signalAll(members(), 'SIGTERM');
  // A stopped process would only see the signal when it is continued.
  signalAll(members(), 'SIGCONT');
  if (await allGone(members, graceMs)) return [];
  await allGone(() => signalAll(members(), 'SIGKILL'), KILL_MS);
  return members();
}

/**
 * Ends every process that carries one of these marks in its environment, as one of an earlier attempt does whose
 * supervisor is gone, and what it started. Returns those that are there all the same.
 */
export const endMarked = (marks: string[], graceMs: number): Promise<number[]> =>
  endAll(() => carriersOf(marks), graceMs);

function signalAll(pids: number[], signal: NodeJS.Signals): number[] {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // It ended in between.
    }
  }
  return pids;
}

async function allGone(members: () => number[], withinMs: number): Promise<boolean> {
  const until = performance.now() + withinMs;
  for (;;) {
    if (members().length === 0) return true;
    if (performance.now() > until) return false;
    await pause(LOOK_MS);
  }
}
