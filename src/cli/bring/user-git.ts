import { execFile } from 'node:child_process';

/**
 * Git as the user has it, with his configuration: in his own repository, by his own word. But none of his hooks, as
 * he did not call git, and no housekeeping. Nothing of a git that called us reaches it.
 */
const QUIET = [
  ['core.hooksPath', '/dev/null'],
  ['core.fsmonitor', 'false'],
  ['gc.auto', '0'],
  ['maintenance.auto', 'false'],
  ['submodule.recurse', 'false'],
  ['fetch.recurseSubmodules', 'false'],
  ['advice.detachedHead', 'false'],
].flatMap(([key, value]) => ['-c', `${key}=${value}`]);

const MAX_OUTPUT = 256 * 1024 * 1024;

export type Ran = { code: number; stdout: Buffer; stderr: string };

/** Runs git to its end; the caller judges its exit code. */
export function tryGit(
  folder: string,
  args: string[],
  options: { env?: Record<string, string>; stdin?: string | Buffer } = {},
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      'git',
      [...QUIET, ...args],
      {
        cwd: folder,
        env: { ...ownEnvironment(), ...options.env },
        encoding: 'buffer',
        maxBuffer: MAX_OUTPUT,
      },
      (error, stdout, stderr) => {
        const code = error ? error.code : 0;
        if (typeof code !== 'number') return reject(error ?? new Error('git was ended'));
        resolve({ code, stdout, stderr: stderr.toString('utf8') });
      },
    );
    // It may stop reading early; its exit code tells the story.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(options.stdin);
  });
}

function ownEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('GIT_'));
  return { ...Object.fromEntries(kept), LC_ALL: 'C', GIT_TERMINAL_PROMPT: '0' };
}

/** The same, where every exit code but 0 is a failure of ours. */
export async function git(...[folder, args, options]: Parameters<typeof tryGit>): Promise<Buffer> {
  const { code, stdout, stderr } = await tryGit(folder, args, options);
  if (code === 0) return stdout;
  throw new Error(`git ${args[0]} failed in ${folder}: ${stderr.trim().slice(0, 2000)}`);
}

export const gitLine = async (...call: Parameters<typeof tryGit>): Promise<string> =>
  (await git(...call)).toString('utf8').trim();
