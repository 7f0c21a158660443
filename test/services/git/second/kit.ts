import { execFileSync } from 'node:child_process';
import { lstatSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Numbers that a seed decides (mulberry32). */
export class Rng {
  private state: number;
  constructor(seed: number) {
    this.state = seed >>> 0;
  }
  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }
  below(n: number): number {
    return Math.floor(this.next() * n);
  }
  chance(p: number): boolean {
    return this.next() < p;
  }
  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error('Nothing to pick from.');
    return item;
  }
}

const ENV = {
  PATH: process.env['PATH'] ?? '',
  HOME: '/nonexistent',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_NAME: 'User',
  GIT_AUTHOR_EMAIL: 'user@example.com',
  GIT_COMMITTER_NAME: 'User',
  GIT_COMMITTER_EMAIL: 'user@example.com',
  GIT_EDITOR: 'true',
  GIT_ALLOW_PROTOCOL: 'file',
  LC_ALL: 'C',
};

export function git(cwd: string, args: readonly string[], input: string | Buffer = ''): Buffer {
  return execFileSync('git', [...args], {
    cwd,
    input,
    env: ENV,
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: 120_000,
    maxBuffer: 64 * 1024 * 1024,
  });
}

export const line = (cwd: string, ...args: string[]): string =>
  git(cwd, args).toString('latin1').trim();

/** Null where git refuses. */
export function ask(cwd: string, ...args: string[]): string | null {
  try {
    return git(cwd, ['--no-optional-locks', ...args]).toString('latin1');
  } catch {
    return null;
  }
}

/** Where the user works: `repo` is what is captured, and lies below `root` as everything else. */
export type World = { root: string; repo: string; rng: Rng; log: string[]; count: number };

/** Who opens a FIFO waits for ever, as nobody is at its other end. */
export function isFifo(world: World, path: string): boolean {
  try {
    return lstatSync(join(world.repo, path)).isFIFO();
  } catch {
    return false;
  }
}

export function put(world: World, path: string, content: string | Buffer, mode = 0o644): void {
  if (isFifo(world, path)) throw new Error(`${path} is a FIFO.`);
  const file = join(world.repo, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content, { mode });
}

const TEXTS = [
  '',
  'one\n',
  'one\ntwo\nthree\n',
  'no end',
  'a\r\nb\r\n',
  'mixed\r\nends\n',
  '$Id$\n',
  '$Id: 0123456789012345678901234567890123456789 $\n',
  '$Format:%H$\n',
  'nul\0byte',
  'caf\xe9\n',
];

export function content({ rng, count }: World): Buffer {
  const text = rng.pick(TEXTS);
  if (rng.chance(0.1)) return Buffer.from(`\ufeff${text}`, 'utf16le');
  return Buffer.from(rng.chance(0.5) ? `${text}${count}\n` : text, 'latin1');
}

const NAMES = [
  'a.txt',
  'A.txt',
  'b.txt',
  'dir/c.txt',
  'dir/sub/d.txt',
  'Dir/e.txt',
  'run.sh',
  'x.bin',
  'x.dat',
  'deep/er/and/deeper/f',
  'link',
  'sp ace/ta\tb',
  '-dash',
  ':(top)magic',
  'star*?[x]',
  'quo"te\\back',
  'new\nline',
  'trail ',
  '#hash',
  '!bang',
  'caf\u00e9',
  'cafe\u0301',
  'build/out.o',
  'build/keep.txt',
  'log.ignored',
  '.hidden/x',
  'git~1',
  'con',
  `${'l'.repeat(250)}`,
];

export const name = ({ rng }: World): string => rng.pick(NAMES);

/** A path that is tracked or lies there; names that are not UTF-8 are left out. */
export function existing(world: World): string {
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const all = git(world.repo, args).toString('utf8').split('\0');
  return world.rng.pick(all.filter((path) => isPlain(world, path) && !path.endsWith('/')));
}

export function tracked(world: World): string {
  const all = git(world.repo, ['ls-files', '-z']).toString('utf8').split('\0');
  return world.rng.pick(all.filter((path) => isPlain(world, path)));
}

const isPlain = (world: World, path: string): boolean =>
  path !== '' && !path.includes('\ufffd') && !isFifo(world, path);

/** The user's branches. One of ours moves with each checkpoint, and whoever tracks it sees that. */
export const branches = (world: World): string[] =>
  line(world.repo, 'for-each-ref', '--format=%(refname:short)', 'refs/heads')
    .split('\n')
    .filter((name) => !/^checkpoint\/[^/]+\/[0-9a-f-]{36}$/.test(name));

export function someCommit(world: World): string {
  return world.rng.pick(line(world.repo, 'rev-list', '--all', 'HEAD').split('\n'));
}

export const unique = (world: World, prefix: string): string => `${prefix}${(world.count += 1)}`;
