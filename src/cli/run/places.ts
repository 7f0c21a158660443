import { readdirSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { setupSchema } from '../../contract/setup.ts';
import { markDataDir } from '../../data-dir.ts';
import { CliError } from '../frame/errors.ts';
import { startOf } from '../../process-list.ts';
import { livingSupervisor, supervisorFile } from '../../services/spawners/supervisor-file.ts';

/**
 * What supervisors keep on disk: `DEFIB_STATE_DIR`, else the user's folder for such things.
 *
 *     sessions/<id>/
 *       session.json    who it is and where it works, with its token (0600)
 *       supervisor.json the process that looks after it now
 *       private/        its private git directory
 *       outbox/         what has not reached the service yet
 *       agent/          DEFIB_SESSION_DIR of the agent: its hooks' events, its reasoning
 */
export function sessionsFolder(env: NodeJS.ProcessEnv): string {
  const state = env['XDG_STATE_HOME'] || join(env['HOME'] || homedir(), '.local', 'state');
  return join(resolve(env['DEFIB_STATE_DIR'] || join(state, 'defib')), 'sessions');
}

/** Where worktrees of further attempts are made, beside {@link sessionsFolder}. */
export const worktreesFolder = (env: NodeJS.ProcessEnv): string =>
  join(dirname(sessionsFolder(env)), 'worktrees');

export type Places = {
  folder: string;
  privateDir: string;
  outbox: string;
  agent: string;
};

export const placesOf = (sessions: string, id: string): Places => ({
  folder: join(sessions, id),
  privateDir: join(sessions, id, 'private'),
  outbox: join(sessions, id, 'outbox'),
  agent: join(sessions, id, 'agent'),
});

const savedSchema = z.object({
  id: z.string(),
  agentName: z.string(),
  url: z.string(),
  token: z.string(),
  worktree: z.string().nullable(),
  /** Where this machine has left the checkpoint branch. */
  commit: z.string().nullable(),
  /** Checkpoints made so far. */
  made: z.number(),
  /** What it was run with; for who takes the work up on this machine. */
  command: z.array(z.string()).optional(),
  /** What further worktrees need, as `.defib.json` said before its agent was started. */
  setup: setupSchema.optional(),
});

/** What is remembered of a session, for a later supervisor of it and for `defib sync`. */
export type SavedSession = z.infer<typeof savedSchema>;

/** Makes the folders of a session; only this user may look into them. */
export async function makePlaces(places: Places): Promise<void> {
  for (const folder of [places.folder, places.outbox, places.agent]) {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  }
  // The folder of all sessions lies in that of the state.
  await markDataDir(dirname(dirname(places.folder)));
}

export async function writeSaved(places: Places, saved: SavedSession): Promise<void> {
  await replaceFile(join(places.folder, 'session.json'), JSON.stringify(saved));
}

/** Undefined where nothing, or nothing whole, is remembered. */
export async function readSaved(places: Places): Promise<SavedSession | undefined> {
  const value = await readJson(join(places.folder, 'session.json'));
  return savedSchema.safeParse(value).data;
}

/** The ids of all sessions that something is kept of. */
export function keptSessions(sessions: string): string[] {
  try {
    return readdirSync(sessions).sort();
  } catch {
    return [];
  }
}

/**
 * Takes a session for this process.
 *
 * @param patienceMs how long another process is waited for, such as one that only sends what is left
 * @throws CliError `supervised`: another process has it
 */
export async function takeSession(places: Places, patienceMs = 0): Promise<void> {
  const until = performance.now() + patienceMs;
  const file = supervisorFile(places.folder);
  const self = JSON.stringify({ pid: process.pid, start: startOf(process.pid) });
  for (;;) {
    try {
      return await writeFile(file, self, { flag: 'wx', mode: 0o600 });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const pid = await livingSupervisor(places.folder);
    if (pid === undefined) {
      await rm(file, { force: true });
    } else if (performance.now() < until) {
      await pause(100);
    } else {
      throw new CliError('supervised', `The session is looked after by process ${pid} already.`);
    }
  }
}

/** Of a session that another process has taken, nothing changes. */
export async function leaveSession(places: Places): Promise<void> {
  if ((await livingSupervisor(places.folder)) !== process.pid) return;
  await rm(supervisorFile(places.folder), { force: true });
}

/** Whole or not at all: a rename puts it in place. */
export async function replaceFile(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch {
    return undefined;
  }
}
