import { spawnSync } from 'node:child_process';

export type Answer = { code: number; out: string };

const ENV = {
  PATH: process.env['PATH'] ?? '',
  HOME: '/nonexistent',
  LC_ALL: 'C',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_NAME: 'User',
  GIT_AUTHOR_EMAIL: 'user@example.com',
  GIT_COMMITTER_NAME: 'User',
  GIT_COMMITTER_EMAIL: 'user@example.com',
  // One time for all commits: the same steps give the same ids, wherever they are made.
  GIT_AUTHOR_DATE: '1763726400 +0000',
  GIT_COMMITTER_DATE: '1763726400 +0000',
  GIT_EDITOR: 'true',
};

/** The user's git, whose failures are answers. Output is latin1: one character a byte. */
export function ask(
  cwd: string,
  args: readonly (string | Buffer)[],
  more: { input?: Buffer | string; env?: Record<string, string> } = {},
): Answer {
  // Arguments of a process are text in Node; bytes that are none go through the shell's quoting.
  const plain = args.every((arg) => typeof arg === 'string');
  const [file, list] = plain
    ? ['git', args as string[]]
    : ['bash', ['-c', `git ${args.map(quoted).join(' ')}`]];
  const { status, stdout, stderr } = spawnSync(file, list, {
    cwd,
    ...(more.input === undefined ? {} : { input: more.input }),
    env: { ...ENV, ...more.env },
    timeout: 20_000,
    maxBuffer: 64 * 1024 * 1024,
  });
  const out = (stdout ?? Buffer.alloc(0)).toString('latin1');
  return { code: status ?? -1, out: status === 0 ? out : out + (stderr ?? '').toString() };
}

/** As {@link ask}, for what must succeed. */
export function must(cwd: string, args: readonly (string | Buffer)[]): string {
  const { code, out } = ask(cwd, args);
  if (code !== 0) throw new Error(`git ${args.join(' ')}: ${out}`);
  return out;
}

function quoted(arg: string | Buffer): string {
  const hex = [...Buffer.from(arg)].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`);
  return `$'${hex.join('')}'`;
}
