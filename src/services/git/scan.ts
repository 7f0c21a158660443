import { spawn } from 'node:child_process';
import type { GitOptions } from './git.ts';
import { git, splitNul } from './git.ts';

/** What a look at the worktree found, relative to the private index. Paths are raw bytes. */
export type Scan = {
  /** Changed or new since the last capture. */
  changed: Buffer[];
  gone: Buffer[];
  /** Untracked repositories: paths end with a slash. */
  nested: Buffer[];
  /** Folders end with a slash. */
  ignored: Buffer[];
  /** Those of the ignored folders that hold data of Defib. */
  dataDirs: Buffer[];
  unreadable: Buffer[];
};

const STATUS = [
  'status',
  '--porcelain=v2',
  '-z',
  '--untracked-files=all',
  '--ignored=matching',
  '--no-renames',
  // Submodules would be examined by a git that reads their own, foreign, configuration.
  '--ignore-submodules=all',
];

/** One walk over the worktree. The refreshed stat data is kept in the private index (optional lock). */
export async function scanWorktree(options: GitOptions): Promise<Scan> {
  const { stdout, stderr } = await git(STATUS, {
    ...options,
    env: { ...options.env, GIT_OPTIONAL_LOCKS: '1' },
  });
  const unreadable = unreadableFolders(stderr);
  const scan: Scan = {
    changed: [],
    gone: [],
    nested: [],
    ignored: [],
    dataDirs: [],
    unreadable,
  };
  for (const record of splitNul(stdout)) sortRecord(record, scan);
  return scan;
}

const SPACE = 0x20;
const SLASH = 0x2f;
const DOT = 0x2e;
const DELETED = 0x44;

function sortRecord(record: Buffer, scan: Scan): void {
  const kind = String.fromCharCode(record[0] ?? 0);
  if (kind === '!') scan.ignored.push(record.subarray(2));
  else if (kind === '?') {
    const path = record.subarray(2);
    (path.at(-1) === SLASH ? scan.nested : scan.changed).push(path);
  } else if (kind === 'u') {
    // The fifth mode is that of the file on disk: zeros when it is not there.
    const gone = record.toString('latin1').split(' ', 7)[6] === '000000';
    (gone ? scan.gone : scan.changed).push(fieldsAfter(record, 10));
  } else if (kind === '1' && record[3] !== DOT) {
    (record[3] === DELETED ? scan.gone : scan.changed).push(fieldsAfter(record, 8));
  }
}

/** The path follows a fixed number of space-separated fields, and may hold spaces itself. */
function fieldsAfter(record: Buffer, count: number): Buffer {
  let at = -1;
  for (let n = 0; n < count; n += 1) at = record.indexOf(SPACE, at + 1);
  return record.subarray(at + 1);
}

/** Folders that git could not open; it warns and goes on. (The messages are English: LC_ALL=C.) */
function unreadableFolders(stderr: string): Buffer[] {
  // A name near the limit of the system fills the whole message, which then ends without a quote.
  const found = stderr.matchAll(/^warning: could not open directory '(.*?)(?:':.*)?$/gm);
  return [...found].map((match) => Buffer.from(match[1] ?? '', 'utf8'));
}

/** What git passes over in silence. */
export type Oddities = {
  emptyFolders: Buffer[];
  /** FIFOs, sockets, devices. */
  special: Buffer[];
  /** Folders below the top that hold a `.git` of their own. */
  repositories: Buffer[];
  /** False when find(1) is not at hand. */
  listed: boolean;
};

/**
 * Finds empty folders, FIFOs, sockets and devices with find(1), which reads the kind from the
 * directory entry: no stat per file. `skip` names folders (relative) that are not entered.
 */
export async function findOddities(
  worktree: string,
  skip: readonly Buffer[],
  signal: AbortSignal | undefined,
): Promise<Oddities> {
  const out = await runFind(worktree, findArguments(skip), signal);
  const odd: Oddities = { emptyFolders: [], special: [], repositories: [], listed: out !== null };
  for (const record of splitNul(out ?? Buffer.alloc(0))) {
    const path = record.subarray('d ./'.length);
    if (record[0] === DIRECTORY) odd.emptyFolders.push(path);
    else if (record[0] === REPOSITORY) odd.repositories.push(path);
    else odd.special.push(path);
  }
  return odd;
}

/** All that one look at a worktree finds. */
export type Look = { scan: Scan; odd: Oddities };

const DIRECTORY = 0x64;
const REPOSITORY = 0x67;

/** Not into the repository itself; of others, the folder that holds them (`%h`). */
const TOP = [
  '. -mindepth 1 -path ./.git -prune -o -name .git -prune'.split(' '),
  ['-printf', 'g %h\\0', '-o'],
].flat();
const WANTED = [
  '( -type p -o -type s -o -type b -o -type c )'.split(' '),
  ['-printf', 's %p\\0', '-o', '-type', 'd', '-empty', '-printf', 'd %p\\0'],
].flat();

function findArguments(skip: readonly Buffer[]): string[] {
  // Arguments must be text; a folder with a non-UTF-8 name is simply entered.
  const names = skip.filter((path) => Buffer.from(path.toString('utf8')).equals(path));
  const prune = names.slice(0, 500).flatMap((path) => {
    const pattern = path
      .toString('utf8')
      .replace(/\/$/, '')
      .replace(/[*?[\]\\]/g, '\\$&');
    return ['-path', `./${pattern}`, '-prune', '-o'];
  });
  return [...TOP, ...prune, ...WANTED];
}

async function runFind(
  cwd: string,
  args: string[],
  signal: AbortSignal | undefined,
): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  return new Promise((resolve) => {
    const child = spawn('find', args, {
      cwd,
      env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'ignore'],
      ...(signal ? { signal } : {}),
    });
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.on('error', () => resolve(null));
    // Exit code 1 only says that a folder could not be read.
    child.on('close', (code) => resolve(code === 0 || code === 1 ? Buffer.concat(chunks) : null));
  });
}
