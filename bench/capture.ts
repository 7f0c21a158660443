/*
 * Cost of a capture against `git status` and `git stash create`, in one run on one machine.
 * Usage: node bench/capture.ts [files …]
 */
import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { capture } from '../src/services/git/capture.ts';

const sizes = process.argv.slice(2).map(Number);
const FILE_COUNTS = sizes.length > 0 ? sizes : [1_000, 10_000, 50_000];
const DIRTY = [0, 10, 1_000];
const ROUNDS = 7;

function git(cwd: string, ...args: string[]): void {
  execFileSync('git', args, { cwd, stdio: 'ignore', env: { PATH: process.env['PATH'] ?? '' } });
}

const nameOf = (n: number): string =>
  `d${Math.floor(n / 1000)}/s${Math.floor(n / 20) % 50}/f${n}.txt`;

function makeRepository(root: string, files: number): string {
  const repo = join(root, `repo-${files}`);
  mkdirSync(repo);
  git(repo, 'init', '--quiet');
  for (let n = 0; n < files; n += 1) {
    if (n % 20 === 0) mkdirSync(join(repo, nameOf(n), '..'), { recursive: true });
    writeFileSync(join(repo, nameOf(n)), `${n}\n`.repeat(600));
  }
  git(repo, 'add', '-A');
  git(
    repo,
    '-c',
    'user.name=b',
    '-c',
    'user.email=b@example.com',
    'commit',
    '--quiet',
    '-m',
    'base',
  );
  git(repo, 'repack', '-adq');
  return repo;
}

function touch(repo: string, files: number, dirty: number, round: number): void {
  const step = Math.max(1, Math.floor(files / Math.max(1, dirty)));
  for (let n = 0; n < Math.min(dirty, files); n += 1) {
    appendFileSync(join(repo, nameOf((n * step) % files)), `round ${round}\n`);
  }
}

async function timed(work: () => Promise<unknown> | void): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

const median = (list: number[]): number => list.toSorted((a, b) => a - b)[list.length >> 1] ?? 0;

async function measure(root: string, repo: string, files: number, dirty: number) {
  const times = {
    status: [] as number[],
    stash: [] as number[],
    first: [] as number[],
    later: [] as number[],
  };
  const identity = ['-c', 'user.name=b', '-c', 'user.email=b@example.com'];
  let previous: string | null = null;
  let number = 0;
  const take = async (privateDir: string): Promise<string> => {
    number += 1;
    const options = { worktree: repo, privateDir, agentName: 'bench', sessionId: 'bench', number };
    const saved = await capture({
      ...options,
      previous,
      policy: { roots: [root] },
      now: new Date(),
    });
    return saved.commit;
  };
  const kept = join(root, `private-${files}-${dirty}`);
  for (let round = 0; round < ROUNDS; round += 1) {
    touch(repo, files, dirty, round);
    times.status.push(await timed(() => git(repo, '--no-optional-locks', 'status', '--porcelain')));
    times.stash.push(await timed(() => git(repo, ...identity, 'stash', 'create')));
    if (round < 3) {
      const fresh = join(root, `first-${files}-${dirty}-${round}`);
      previous = null;
      times.first.push(await timed(() => take(fresh)));
    }
    const work = async () => (previous = await take(kept));
    if (round === 0) await work();
    else times.later.push(await timed(work));
  }
  return times;
}

const root = mkdtempSync(join(tmpdir(), 'defib-bench-'));
try {
  console.log(
    'files   dirty  status  stash   first   later   first/status  later/status  (median, ms)',
  );
  for (const files of FILE_COUNTS) {
    const repo = makeRepository(root, files);
    for (const dirty of DIRTY) {
      const times = await measure(root, repo, files, dirty);
      const [status, stash, first, later] = [
        times.status,
        times.stash,
        times.first,
        times.later,
      ].map(median);
      if (!status || !stash || !first || !later) throw new Error('nothing was measured');
      const cells = [files, dirty, ...[status, stash, first, later].map((ms) => ms.toFixed(0))];
      const ratios = [first / status, later / status].map((ratio) => ratio.toFixed(2).padStart(8));
      console.log(cells.map((cell) => String(cell).padEnd(7)).join(' '), ratios.join('      '));
    }
  }
} finally {
  rmSync(root, { recursive: true, force: true });
}
