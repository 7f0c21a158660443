import { execFile } from 'node:child_process';
import type { Account } from './account.ts';

export type RunResult = { ok: boolean; stdout: string; stderr: string };

/**
 * The whole environment of PostgreSQL's programs. The service's own holds tokens, which are none of
 * the server's business, and PG* variables, which would change what it does. `C` keeps the messages
 * that we look for in English; `UTC` spares initdb a search through all time zones.
 */
export const serverEnv = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };

/** Spawn options that make a child run as `account`, in a folder that every account can enter. */
export function runAs(account: Account) {
  const ids = account.own ? {} : { uid: account.uid, gid: account.gid };
  return { ...ids, cwd: '/', env: serverEnv };
}

/** Runs a short program to its end as `account`. Never rejects: a failed spawn is a failed run. */
export function run(file: string, args: string[], account: Account): Promise<RunResult> {
  return new Promise((resolve) => {
    execFile(file, args, { ...runAs(account), timeout: 120_000 }, (error, stdout, stderr) => {
      const why = stderr.trim() || (error?.message ?? '');
      resolve({ ok: error === null, stdout: stdout.trim(), stderr: why });
    });
  });
}
