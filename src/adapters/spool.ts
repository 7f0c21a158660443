import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AGENTS, type AgentEvent, isFields } from './event.ts';

/**
 * How hooks tell the supervisor of a session what its agent does. The supervisor makes a folder for
 * the session (0700), names it to the agent in `DEFIB_SESSION_DIR`, and empties the spool in it:
 *
 *     $DEFIB_SESSION_DIR/
 *       events/                            made by the first hook, or by the supervisor to watch it
 *         000001795251107136-4711-<uuid>.json    one event: JSON of an `AgentEvent`, at most 64 KiB
 *         .<uuid>                          an event that is being written; never read
 *       hook.log                           what went wrong in hooks
 *
 * Names begin with the time in milliseconds, so they sort in the order of events; those of one
 * millisecond were concurrent. A file appears whole, by a rename. Nothing locks: any number of hooks
 * write while one supervisor reads, and neither needs the other. When nobody reads, the spool stops
 * growing at {@link MAX_SPOOLED} events and newer ones are dropped: the transcript still has all that
 * counts for a checkpoint.
 */
export const eventsFolder = (sessionDir: string): string => join(sessionDir, 'events');

export const MAX_SPOOLED = 1000;

const MAX_BYTES = 64 * 1024;

/**
 * Adds an event. Synchronous: a hook has nothing else to do. False when the spool is full.
 *
 * @throws when the session's folder is not there or cannot be written
 */
export function putEvent(sessionDir: string, event: AgentEvent): boolean {
  const folder = eventsFolder(sessionDir);
  makeFolder(folder);
  if (readdirSync(folder).length >= MAX_SPOOLED) return false;
  const id = randomUUID();
  const draft = join(folder, `.${id}`);
  const time = String(Date.parse(event.at)).padStart(18, '0');
  writeFileSync(draft, JSON.stringify(event), { mode: 0o600 });
  renameSync(draft, join(folder, `${time}-${process.pid}-${id}.json`));
  return true;
}

/** Not the session's folder itself: where that is gone, so is whoever would read. */
function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/**
 * Takes out all events that are there, oldest first. What is no event is removed and left out. An
 * event is removed before it is returned: a supervisor that dies then has lost a hint, no work.
 */
export function takeEvents(sessionDir: string): AgentEvent[] {
  const folder = eventsFolder(sessionDir);
  return names(folder).flatMap((name) => {
    const path = join(folder, name);
    const event = readEvent(path);
    rmSync(path, { force: true });
    return event ? [event] : [];
  });
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((file) => file.isFile() && !file.name.startsWith('.'))
      .map(({ name }) => name)
      .sort();
  } catch {
    return [];
  }
}

function readEvent(path: string): AgentEvent | undefined {
  try {
    const text = readFileSync(path, 'utf8');
    const value: unknown = text.length <= MAX_BYTES ? JSON.parse(text) : undefined;
    return isEvent(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const isEvent = (value: unknown): value is AgentEvent =>
  isFields(value) &&
  AGENTS.some((agent) => agent === value['agent']) &&
  ['kind', 'at', 'sessionRef', 'cwd'].every((name) => typeof value[name] === 'string') &&
  typeof value['mutating'] === 'boolean';
