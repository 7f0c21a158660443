import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:fs';
import { copyFile, lstat, mkdir, realpath } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { z } from 'zod';
import { type Setup, setupSchema } from '../../contract/setup.ts';
import { endMarked } from '../../end-processes.ts';
import { markOf } from '../../process-list.ts';
import { readPlain } from '../../services/git/plain-file.ts';
import { CliError } from '../frame/errors.ts';
import { messageOf } from './deliver.ts';

const FILE = '.defib.json';
const fileSchema = z.strictObject({ setup: setupSchema.optional() });
const MAX_FILE_BYTES = 64 * 1024;

/**
 * What `.defib.json` at the top of a worktree says of further worktrees. It is read before the first agent is
 * started: what an agent writes there must not be run outside of the agent.
 *
 * @throws CliError `invalid_file`
 */
export async function readSetup(worktree: string): Promise<Setup | undefined> {
  const text = await readPlain(join(worktree, FILE), MAX_FILE_BYTES).catch(() => null);
  if (text === null) return undefined;
  const hint = 'Fix it, or remove it: {"setup": {"copy": [".env"], "run": ["npm ci"]}}';
  try {
    const { data, error } = fileSchema.safeParse(JSON.parse(text.toString('utf8')));
    if (data) return data.setup;
    throw new Error(z.prettifyError(error));
  } catch (error) {
    throw new CliError('invalid_file', `${FILE} cannot be used: ${messageOf(error)}`, hint);
  }
}

export type SetupWork = {
  setup: Setup;
  worktree: string;
  /** The worktree of the attempt before; undefined: it is not on this machine. */
  from: string | undefined;
  sessionId: string;
  env: NodeJS.ProcessEnv;
  graceMs: number;
  tell: (text: string) => void;
  /** Aborted when nothing is to be started any more. */
  ending: AbortSignal;
};

const DEFAULT_SECONDS = 600;

/** Makes a new worktree fit to work in. What fails is no reason to give up. Returns what, one sentence each. */
export async function setUp(work: SetupWork): Promise<string[]> {
  const { copy = [], run = [], timeoutSeconds = DEFAULT_SECONDS } = work.setup;
  const failed: string[] = [];
  for (const path of copy) {
    const why = await copyOne(work, path).catch(messageOf);
    if (why !== undefined) failed.push(`${path} was not copied: ${why}.`);
  }
  const until = AbortSignal.any([AbortSignal.timeout(timeoutSeconds * 1000), work.ending]);
  for (const command of run) {
    if (work.ending.aborted) break;
    const why = until.aborted
      ? `the time limit of ${timeoutSeconds} s was over`
      : await runOne(work, command, until).catch(messageOf);
    if (why !== undefined) failed.push(`\`${command}\` failed: ${why}.`);
  }
  for (const text of failed) work.tell(text);
  return failed;
}

async function copyOne({ worktree, from }: SetupWork, path: string): Promise<string | undefined> {
  if (from === undefined) return 'the worktree of the attempt before is not on this machine';
  const source = join(from, path);
  const info = await lstat(source).catch(() => null);
  if (!info?.isFile() || !(await isInside(from, source))) return 'there is no such file';
  const target = join(worktree, path);
  await mkdir(dirname(target), { recursive: true });
  // A link that was saved may lead elsewhere.
  if (!(await isInside(worktree, dirname(target))))
    return 'its folder is a link out of the worktree';
  // What was saved is newer than what lies in the old worktree.
  if (await lstat(target).catch(() => null)) return undefined;
  await copyFile(source, target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  return undefined;
}

async function isInside(top: string, path: string): Promise<boolean> {
  const between = relative(await realpath(top), await realpath(path));
  return !between.startsWith('..');
}

/** Its output goes where ours goes: the agent's own output stays the agent's. */
async function runOne(
  { worktree, sessionId, env, graceMs, tell }: SetupWork,
  command: string,
  until: AbortSignal,
): Promise<string | undefined> {
  tell(`Setup: ${command}`);
  const child = spawn('/bin/sh', ['-c', command], {
    cwd: worktree,
    detached: true,
    stdio: ['ignore', 2, 2],
    env: { ...env, PWD: worktree, DEFIB_SESSION_ID: sessionId },
  });
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  const over = new Promise<'over'>((resolve) => {
    until.addEventListener('abort', () => resolve('over'), { once: true });
  });
  const first = await Promise.race([ended, over]);
  if (first === 'over') {
    await endMarked([markOf(sessionId)], graceMs);
    return 'it took longer than it may, and was ended';
  }
  const [code, signal] = first;
  if (code === 0) return undefined;
  return signal === null ? `exit code ${code}` : signal;
}

/** What of the setup failed, for the prompt. */
export const setupNote = (failed: string[]): string =>
  failed.length === 0
    ? ''
    : `\n## Setup of this worktree\n\nNot all of it worked; see to it first if you need it.\n\n${failed.map((text) => `- ${text}`).join('\n')}\n`;
