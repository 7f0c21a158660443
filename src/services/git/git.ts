import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { AppError } from '../../errors.ts';
import { limitedGit } from './child-limits.ts';

/*
 * Git as a child process, for everything where bytes count. simple-git decodes names to UTF-8 strings,
 * cannot stream, and kills only the direct child; it serves in diff.ts, where the output is text.
 */

export type ConfigPair = readonly [key: string, value: string];

export type GitOptions = {
  cwd?: string;
  gitDir?: string;
  workTree?: string;
  indexFile?: string;
  /** Extra configuration, beyond the safe base. Travels in the environment, so `ps` never shows it. */
  config?: readonly ConfigPair[];
  env?: Readonly<Record<string, string>>;
  stdin?: Buffer | string | AsyncIterable<Buffer>;
  signal?: AbortSignal | undefined;
  /** Milliseconds until the whole process group is killed. */
  timeoutMs?: number;
  /** Bytes of standard output that are kept before the call is refused. */
  maxStdout?: number;
  /** Exit codes that are an answer and not a failure. */
  okCodes?: readonly number[];
  /** User to run as; only root may set it. */
  runAs?: { uid: number; gid: number } | undefined;
};

export type GitResult = { code: number; stdout: Buffer; stderr: string };

const MAX_STDERR = 64 * 1024;
const DEFAULT_TIMEOUT_MS = 120_000;
/** What the shell that becomes git ends with when there is no git. */
const NOT_FOUND = 127;

/** What no repository may decide for us. Every entry here is a way to run code or to write elsewhere. */
const SAFE_CONFIG: readonly ConfigPair[] = [
  ['core.hooksPath', '/dev/null'],
  ['core.fsmonitor', 'false'],
  ['core.alternateRefsCommand', 'true'],
  ['core.attributesFile', '/dev/null'],
  ['core.excludesFile', '/dev/null'],
  ['core.pager', 'cat'],
  ['credential.helper', ''],
  ['gc.auto', '0'],
  ['gc.autoDetach', 'false'],
  ['maintenance.auto', 'false'],
  ['receive.autogc', 'false'],
  ['fetch.recurseSubmodules', 'false'],
  ['submodule.recurse', 'false'],
  ['protocol.allow', 'never'],
  // Blobs above this are streamed and not held in memory; no file that a capture takes is as large.
  ['core.bigFileThreshold', '64m'],
  ['pack.windowMemory', '64m'],
  ['http.followRedirects', 'false'],
];

/**
 * A fresh environment: nothing is inherited but PATH, so no `GIT_*` variable, proxy or credential
 * of the service reaches git unless a caller passes it.
 */
export function gitEnvironment(options: GitOptions): Record<string, string> {
  const config = [...SAFE_CONFIG, ...(options.config ?? [])];
  const env: Record<string, string> = {
    PATH: process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin',
    HOME: '/nonexistent',
    XDG_CONFIG_HOME: '/nonexistent',
    LC_ALL: 'C',
    TZ: 'UTC',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_SYSTEM: '/dev/null',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_NO_LAZY_FETCH: '1',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: '',
    GIT_SSH_COMMAND: 'false',
    GIT_EDITOR: 'false',
    GIT_CONFIG_COUNT: String(config.length),
  };
  config.forEach(([key, value], n) => {
    env[`GIT_CONFIG_KEY_${n}`] = key;
    env[`GIT_CONFIG_VALUE_${n}`] = value;
  });
  if (options.gitDir) env['GIT_DIR'] = options.gitDir;
  if (options.workTree) env['GIT_WORK_TREE'] = options.workTree;
  if (options.indexFile) env['GIT_INDEX_FILE'] = options.indexFile;
  return { ...env, ...options.env };
}

type GitChild = ChildProcessByStdio<Writable, Readable, Readable>;

function start(args: readonly string[], options: GitOptions): GitChild {
  const cwd = options.cwd ?? options.workTree ?? options.gitDir;
  const [command, argv] = limitedGit(args, options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  return spawn(command, argv, {
    ...(cwd === undefined ? {} : { cwd }),
    ...(options.runAs ? { uid: options.runAs.uid, gid: options.runAs.gid } : {}),
    env: gitEnvironment(options),
    stdio: ['pipe', 'pipe', 'pipe'],
    // A process group of its own, so that a deadline also ends ssh, index-pack and other grandchildren.
    detached: true,
  });
}

function killGroup(child: GitChild): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    child.kill('SIGKILL');
  }
}

async function feed(child: GitChild, stdin: GitOptions['stdin']): Promise<void> {
  child.stdin.on('error', () => {}); // git may stop reading early; its exit code tells the story
  if (stdin === undefined || typeof stdin === 'string' || Buffer.isBuffer(stdin)) {
    child.stdin.end(stdin);
    return;
  }
  try {
    await pipeline(stdin, child.stdin);
  } catch (error) {
    if (child.exitCode === null && child.signalCode === null) killGroup(child);
    if (!isPipeError(error)) throw error;
  }
}

function isPipeError(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'EPIPE' || code === 'ERR_STREAM_PREMATURE_CLOSE' || code === 'ECONNRESET';
}

async function exitOf(child: GitChild): Promise<number> {
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return code ?? (signal ? 128 : 127);
}

/** Runs git and passes its output, chunk by chunk, to `onStdout`; a false answer stops it. */
export async function streamGit(
  args: readonly string[],
  options: GitOptions,
  onStdout: (chunk: Buffer) => boolean | Promise<boolean>,
): Promise<{ code: number; stderr: string }> {
  const limits = [AbortSignal.timeout(options.timeoutMs ?? DEFAULT_TIMEOUT_MS)];
  if (options.signal) limits.push(options.signal);
  const signal = AbortSignal.any(limits);
  if (signal.aborted) throw stopped(args);
  const child = start(args, options);
  const onAbort = () => killGroup(child);
  signal.addEventListener('abort', onAbort, { once: true });
  const stderr: Buffer[] = [];
  let kept = 0;
  child.stderr.on('data', (chunk: Buffer) => {
    if (kept < MAX_STDERR) stderr.push(chunk);
    kept += chunk.length;
  });
  try {
    const [code] = await Promise.all([
      exitOf(child),
      feed(child, options.stdin),
      drain(child, onStdout),
    ]);
    if (signal.aborted) throw stopped(args);
    if (code === NOT_FOUND) throw new AppError('unavailable', 'git is not installed on this host.');
    const said = Buffer.concat(stderr).toString('utf8').slice(0, MAX_STDERR);
    if (code !== 0 && OUT_OF_MEMORY.test(said)) throw tooMuch(args, said);
    return { code, stderr: said };
  } catch (error) {
    killGroup(child);
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

async function drain(
  child: GitChild,
  onStdout: (chunk: Buffer) => boolean | Promise<boolean>,
): Promise<void> {
  for await (const chunk of child.stdout) {
    if (!(await onStdout(chunk as Buffer))) {
      killGroup(child);
      return;
    }
  }
}

/** Runs git to its end. Throws {@link AppError} on a failure, a deadline, or too much output. */
export async function git(args: readonly string[], options: GitOptions): Promise<GitResult> {
  const max = options.maxStdout ?? 512 * 1024 * 1024;
  const chunks: Buffer[] = [];
  let size = 0;
  const { code, stderr } = await streamGit(args, options, (chunk) => {
    chunks.push(chunk);
    size += chunk.length;
    return size <= max;
  });
  if (size > max)
    throw new AppError('too_large', `git ${args[0]} answered more than ${max} bytes.`);
  if (code !== 0 && !options.okCodes?.includes(code)) throw gitFailed(args, code, stderr);
  return { code, stdout: Buffer.concat(chunks), stderr };
}

/** As {@link git}, for one-line answers: the text of standard output without the line end. */
export async function gitText(args: readonly string[], options: GitOptions): Promise<string> {
  return (await git(args, options)).stdout.toString('utf8').trimEnd();
}

/** The failure of a git command. Its stderr is the cause, for the log; the message names only the verb. */
export function gitFailed(args: readonly string[], code: number, stderr: string): AppError {
  return new AppError('internal', `git ${args[0]} failed with exit code ${code}.`, {
    cause: new Error(stderr.trim().slice(0, 4000) || `exit code ${code}`),
  });
}

function stopped(args: readonly string[]): AppError {
  return new AppError('unavailable', `git ${args[0]} was stopped: its deadline passed.`, {
    transient: true,
  });
}

const OUT_OF_MEMORY = /out of memory|memory exhausted|cannot allocate memory/i;

function tooMuch(args: readonly string[], stderr: string): AppError {
  return new AppError(
    'too_large',
    `git ${args[0]} needed more memory than one git process may have: the repository or the bundle holds something too large.`,
    { cause: new Error(stderr.trim().slice(0, 4000)) },
  );
}

/** Splits NUL-terminated records without copying. */
export function splitNul(buffer: Buffer): Buffer[] {
  const records: Buffer[] = [];
  let from = 0;
  for (let at = buffer.indexOf(0, from); at >= 0; at = buffer.indexOf(0, from)) {
    records.push(buffer.subarray(from, at));
    from = at + 1;
  }
  return records;
}
