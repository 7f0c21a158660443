import { closeSync, fstatSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';

/** The settings that are secrets. Each can also be given as a file, by its name and `_FILE`. */
export const SECRET_SETTINGS = [
  'DATABASE_URL',
  'REDIS_URL',
  'DEFIB_OPERATOR_TOKEN',
  'DEFIB_GIT_CREDENTIALS',
  'DEFIB_WEBHOOK_SECRET',
  'GITHUB_TOKEN',
  'GITHUB_APP_PRIVATE_KEY',
] as const;

const MAX_FILE_BYTES = 64 * 1024;

/**
 * An environment with the values of its `…_FILE` settings, and what is wrong with those.
 * The line end after a value, which editors leave there, is not part of it.
 */
export function withFiles(env: NodeJS.ProcessEnv): {
  env: NodeJS.ProcessEnv;
  problems: string[];
} {
  const given = { ...env };
  const problems: string[] = [];
  for (const name of SECRET_SETTINGS) {
    const path = env[`${name}_FILE`];
    if (!path) continue;
    if (env[name]) {
      problems.push(`${name} and ${name}_FILE are both set: keep one of them.`);
      continue;
    }
    try {
      given[name] = readSetting(path).replace(/\r?\n$/, '');
    } catch (error) {
      problems.push(`${name}_FILE ${(error as Error).message}`);
    }
  }
  return { env: given, problems };
}

/** A link is followed: orchestrators mount secrets so. What is no file is not waited for. */
function readSetting(path: string): string {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    throw new Error(`cannot be read: ${(error as NodeJS.ErrnoException).code}`, { cause: error });
  }
  try {
    const info = fstatSync(fd);
    if (!info.isFile()) throw new Error('must be a regular file');
    if (info.size > MAX_FILE_BYTES) throw new Error(`must have at most ${MAX_FILE_BYTES} bytes`);
    const bytes = Buffer.alloc(MAX_FILE_BYTES);
    const text = bytes.toString('utf8', 0, readSync(fd, bytes, 0, bytes.length, 0));
    if (text.trim() === '') throw new Error('is empty');
    return text;
  } finally {
    closeSync(fd);
  }
}

/** Also what libraries read by themselves: it stays in this process. */
const HIDDEN = [...SECRET_SETTINGS, 'DEFIB_TOKEN', 'PGPASSWORD'];
const KEPT = new Set(['PGPASSWORD']);

export type TakenEnvironment = {
  /** As it was. */
  env: NodeJS.ProcessEnv;
  /** Secrets that others of this user still find in `/proc`, and why. */
  exposed: string[];
};

/**
 * Takes the secrets out of the environment of this process, also out of the block that the system keeps
 * of its start, which whoever runs as the same user reads in `/proc/<pid>/environ`.
 */
export function takeEnvironment(): TakenEnvironment {
  const env = { ...process.env };
  const secrets = HIDDEN.filter((name) => env[name]);
  for (const name of secrets) {
    delete process.env[name];
    // Set anew it is on the heap, and no longer in that block.
    if (KEPT.has(name)) process.env[name] = env[name];
  }
  if (process.platform !== 'linux' || secrets.length === 0) return { env, exposed: [] };
  const exposed: string[] = [];
  try {
    blank(secrets);
  } catch {
    exposed.push(`${secrets.join(', ')}: this system does not let a process change its own memory`);
  }
  const shown = secrets.filter((name) => isShownAbove(`${name}=${env[name]}`));
  if (shown.length > 0) exposed.push(`${shown.join(', ')}: in the process that started this one`);
  return { env, exposed };
}

/** Writes NUL over the values, where the system has the environment that this process was started with. */
function blank(names: readonly string[]): void {
  const block = readFileSync('/proc/self/environ');
  const stat = readFileSync('/proc/self/stat', 'latin1');
  // Fields are counted from 1, and the second may hold spaces and brackets: proc(5).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const envStart = Number(fields[50 - 3]);
  const memory = openSync('/proc/self/mem', 'r+');
  try {
    for (let at = 0; at < block.length;) {
      const end = block.indexOf(0, at);
      const equals = block.indexOf('=', at);
      const stop = end < 0 ? block.length : end;
      if (equals > 0 && equals < stop && names.includes(block.toString('utf8', at, equals))) {
        const length = stop - equals - 1;
        writeSync(memory, Buffer.alloc(length), 0, length, envStart + equals + 1);
      }
      at = stop + 1;
    }
  } finally {
    closeSync(memory);
  }
}

/** `npm start` runs this under npm, which keeps what it was given. */
function isShownAbove(entry: string): boolean {
  let pid = process.ppid;
  for (let steps = 0; steps < 5 && pid > 1; steps += 1) {
    try {
      if (readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(entry)) return true;
      pid = Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
    } catch {
      return false;
    }
  }
  return false;
}
