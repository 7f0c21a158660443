import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** The repository that the demo's agents work on, and its remote. */
export type Project = {
  worktree: string;
  /** Runs git in the worktree, and gives what it prints. */
  git(...args: string[]): Promise<string>;
  /** Checkpoint branches here and on the remote. */
  checkpointBranches(): Promise<string[]>;
};

const run = promisify(execFile);

/** What `git` needs to commit on a machine where nobody has told it who they are. */
export const IDENTITY = {
  GIT_AUTHOR_NAME: 'Demo',
  GIT_AUTHOR_EMAIL: 'demo@example.com',
  GIT_COMMITTER_NAME: 'Demo',
  GIT_COMMITTER_EMAIL: 'demo@example.com',
};

async function gitIn(cwd: string, ...args: string[]): Promise<string> {
  const { stdout } = await run('git', args, { cwd, env: { ...process.env, ...IDENTITY } });
  return stdout.trimEnd();
}

export async function makeProject(folder: string): Promise<Project> {
  const worktree = join(folder, 'app');
  const remote = join(folder, 'remotes', 'app.git');
  await mkdir(worktree, { recursive: true });
  const git = (...args: string[]) => gitIn(worktree, ...args);
  await gitIn(folder, 'init', '-q', '--bare', '-b', 'main', remote);
  await git('init', '-q', '-b', 'main');
  await writeFile(join(worktree, 'README.md'), '# App\n');
  await writeFile(join(worktree, 'greet.js'), "console.log('hello');\n");
  await git('add', '-A');
  await git('commit', '-qm', 'Begin');
  await git('remote', 'add', 'origin', remote);
  await git('push', '-qu', 'origin', 'main');
  await git('switch', '-qc', 'greeting');
  const branches = ['for-each-ref', '--format=%(refname:short)', 'refs/heads/checkpoint'];
  return {
    worktree,
    git,
    checkpointBranches: async () => {
      const found = [await git(...branches), await gitIn(remote, ...branches)];
      return found
        .join('\n')
        .split('\n')
        .filter((line) => line !== '');
    },
  };
}
