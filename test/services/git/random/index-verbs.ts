import { appendFileSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Verb } from './plan.ts';
import { ask, must } from './run.ts';

/** One path, taken literally, for commands that read a pathspec. */
function onPath(repo: string, args: readonly string[], path: Buffer): void {
  const stdin = ['--pathspec-from-file=-', '--pathspec-file-nul'];
  ask(repo, ['--literal-pathspecs', ...args, ...stdin], {
    input: Buffer.concat([path, Buffer.from([0])]),
  });
}

const flag =
  (name: string): Verb =>
  ({ repo }, path) =>
    void ask(repo, ['update-index', name, '-z', '--stdin'], {
      input: Buffer.concat([path, Buffer.from([0])]),
    });

const FOLDERS = ['dir', 'lib', 'lib/deep', 'none', 'topic'];

/** What changes git's index, and the rules by which git reads it. */
export const INDEX_VERBS: Record<string, Verb> = {
  stage: ({ repo }, path) => onPath(repo, ['add', '-A'], path),
  stageForced: ({ repo }, path) => onPath(repo, ['add', '-f', '-A'], path),
  stageAll: ({ repo }) => void ask(repo, ['add', '-A']),
  unstage: ({ repo }, path) => onPath(repo, ['reset', '-q'], path),
  untrack: ({ repo }, path) => onPath(repo, ['rm', '-q', '-r', '-f', '--cached'], path),
  intent: ({ repo }, path) => onPath(repo, ['add', '-N', '-f'], path),
  intentNew: ({ repo }, _, n) => {
    writeFileSync(join(repo, `planned-${n % 3}`), 'planned\n');
    must(repo, ['add', '-N', '-f', `planned-${n % 3}`]);
  },
  ignoredTracked: ({ repo }, _, n) => {
    appendFileSync(join(repo, '.gitignore'), 'dist/\n');
    mkdirSync(join(repo, 'dist'), { recursive: true });
    writeFileSync(join(repo, 'dist/x'), `${n}\n`);
    if (n % 2 === 0) must(repo, ['add', '-f', 'dist/x']);
    if (n % 4 === 0) must(repo, ['commit', '-q', '-m', 'forced', '--', 'dist/x']);
    appendFileSync(join(repo, 'dist/x'), 'hours\n');
  },
  skip: flag('--skip-worktree'),
  unskip: flag('--no-skip-worktree'),
  assume: flag('--assume-unchanged'),
  unassume: flag('--no-assume-unchanged'),
  deleteAndSkip: ({ repo, root }, path) => {
    rmSync(Buffer.concat([Buffer.from(`${repo}/`), path]), { recursive: true });
    flag('--skip-worktree')({ repo, root }, path, 0);
  },
  sparse: ({ repo }, _, n) => {
    const how = [['--cone'], ['--no-cone'], ['--cone', '--sparse-index']][n % 3] ?? [];
    ask(repo, ['sparse-checkout', 'set', ...how, FOLDERS[n % FOLDERS.length] ?? 'dir']);
  },
  sparseAdd: ({ repo }, _, n) =>
    void ask(repo, ['sparse-checkout', 'add', FOLDERS[n % FOLDERS.length] ?? 'dir']),
  sparseOff: ({ repo }) => void ask(repo, ['sparse-checkout', 'disable']),
  split: ({ repo }, _, n) =>
    void ask(repo, ['update-index', n % 3 === 0 ? '--no-split-index' : '--split-index']),
  version: ({ repo }, _, n) =>
    void ask(repo, ['update-index', '--index-version', String(2 + (n % 3))]),
  untrackedCache: ({ repo }) => void ask(repo, ['update-index', '--force-untracked-cache']),
  chmodStaged: ({ repo }, path, n) => {
    const text = path.toString('latin1');
    ask(repo, ['update-index', n % 2 === 0 ? '--chmod=+x' : '--chmod=-x', '--', text]);
  },
  config: ({ repo }, _, n) => {
    const all = [
      'core.fileMode=false',
      'core.autocrlf=input',
      'core.autocrlf=true',
      'core.fileMode=true',
      'core.ignoreCase=true',
      'status.showUntrackedFiles=no',
    ];
    const [key = '', value = ''] = (all[n % all.length] ?? '').split('=');
    ask(repo, ['config', key, value]);
  },
  exclude: ({ repo }) => {
    const file = must(repo, ['rev-parse', '--git-path', 'info/exclude']).trim();
    appendFileSync(join(repo, file), 'b.txt\ndist/\n');
  },
  modules: ({ repo }, _, n) => {
    const file = join(repo, '.gitmodules');
    if (n % 3 === 0) appendFileSync(file, '[submodule "broken\n\tpath = \n');
    else if (n % 3 === 1) {
      rmSync(file, { force: true });
      symlinkSync('a', file);
    } else rmSync(file);
  },
  submodule: ({ repo }, _, n) => {
    const sub = join(repo, 'sub');
    writeFileSync(join(sub, 'a'), `${n}\n`);
    if (n % 3 === 0) return;
    must(sub, ['commit', '-q', '-a', '-m', 'in the submodule']);
    if (n % 3 === 1) must(repo, ['add', 'sub']);
  },
};
