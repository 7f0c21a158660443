import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { type Finding, ok, wrong } from './finding.ts';

const MIN_NODE = [22, 18] as const;

/**
 * Below it, git ignores GIT_CONFIG_GLOBAL and GIT_CONFIG_COUNT, by which checkpoints keep a repository's
 * own configuration from running programs.
 */
const MIN_GIT = [2, 32] as const;

/** @param version of the Node that runs, like `24.1.0` */
export function nodeCheck(version: string = process.versions.node): Promise<Finding> {
  return Promise.resolve(
    isAtLeast(version, MIN_NODE)
      ? ok('node', version)
      : wrong('node', `${version} is too old`, `Install Node ${MIN_NODE.join('.')} or newer.`),
  );
}

export async function gitCheck(): Promise<Finding> {
  const install = `Install git ${MIN_GIT.join('.')} or newer, where PATH finds it.`;
  try {
    const { stdout } = await promisify(execFile)('git', ['--version'], { timeout: 10_000 });
    const version = /\d+\.\d+(\.\d+)?/.exec(stdout)?.[0] ?? stdout.trim();
    return isAtLeast(version, MIN_GIT)
      ? ok('git', version)
      : wrong('git', `${version} is too old to capture a worktree safely`, install);
  } catch {
    return wrong('git', 'it cannot be run', install);
  }
}

function isAtLeast(version: string, [minMajor, minMinor]: readonly [number, number]): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > minMajor || (major === minMajor && minor >= minMinor);
}
