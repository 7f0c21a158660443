import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import type { NotCaptured } from '../../../../src/services/git/vet.ts';
import { ask, line } from './kit.ts';

/** What a worktree is, as its user sees it. Keys name the part, so that a difference can be told. */
export type Stand = Map<string, string>;
export type Settings = [key: string, value: string][];

type Visit = (path: Buffer, full: Buffer) => void;

function walk(top: string, enter: (path: string) => boolean, visit: Visit): void {
  const into = (folder: Buffer, below: Buffer): void => {
    for (const entry of readdirSync(folder, { encoding: 'buffer' })) {
      const full = Buffer.concat([folder, Buffer.from('/'), entry]);
      const path = below.length === 0 ? entry : Buffer.concat([below, Buffer.from('/'), entry]);
      if (!enter(path.toString('latin1'))) continue;
      visit(path, full);
      if (lstatSync(full).isDirectory()) into(full, path);
    }
  };
  into(Buffer.from(top), Buffer.alloc(0));
}

const digest = (bytes: Buffer): string => createHash('sha1').update(bytes).digest('hex');

function describe(full: Buffer): string | null {
  const info = lstatSync(full);
  if (info.isSymbolicLink()) return `link ${readlinkSync(full, 'latin1')}`;
  if (info.isFile())
    return `${info.mode & 0o100 ? 'program' : 'file'} ${digest(readFileSync(full))}`;
  if (info.isDirectory()) return readdirSync(full).length === 0 ? 'empty folder' : null;
  return 'special';
}

const outsideGit = (path: string): boolean => !/(?:^|\/)\.git$/.test(path);

function files(worktree: string, stand: Stand): void {
  walk(worktree, outsideGit, (path, full) => {
    const text = describe(full);
    if (text !== null) stand.set(`file ${path.toString('latin1')}`, text);
  });
}

/** What git keeps byte for byte while it is in the middle of something. */
const STATE =
  /^(?:[A-Z][A-Z_]*|rebase-merge\/.*|rebase-apply\/.*|sequencer\/.*|NOTES_MERGE_WORKTREE\/.*)$/;
const SHARED = /^(?:rr-cache\/.*|info\/(?:exclude|attributes))$/;

function gitFiles(worktree: string, stand: Stand): void {
  const [own, common] = ['--absolute-git-dir', '--git-common-dir'].map((what) =>
    line(worktree, 'rev-parse', '--path-format=absolute', what),
  );
  for (const [folder = '', wanted] of [
    [own, STATE],
    [common, SHARED],
  ] as const) {
    const enter = (path: string): boolean =>
      !/^(?:objects|refs|logs|modules|worktrees)$/.test(path);
    walk(folder, enter, (path, full) => {
      const text = path.toString('latin1');
      if (text === 'HEAD' || !wanted.test(text) || !lstatSync(full).isFile()) return;
      stand.set(`.git/${text}`, readFileSync(full, 'latin1'));
    });
  }
}

/** Status by content alone: of a copy with other times, and without what git remembers of its last look. */
function status(worktree: string, scratch: string): string | null {
  rmSync(scratch, { recursive: true, force: true });
  execFileSync('cp', ['-a', worktree, scratch]);
  try {
    execFileSync('find', [
      scratch,
      '-type',
      'f',
      '-exec',
      'touch',
      '-d',
      '2003-03-03 03:03:03',
      '{}',
      '+',
    ]);
    const gitDir = line(worktree, 'rev-parse', '--absolute-git-dir');
    const settings = [
      'core.fsmonitor=false',
      'core.untrackedCache=false',
      'core.trustctime=true',
      'core.checkStat=default',
      'status.showUntrackedFiles=all',
    ];
    const text = ask(
      scratch,
      ...settings.flatMap((it) => ['-c', it]),
      `--git-dir=${gitDir}`,
      `--work-tree=${scratch}`,
      'status',
      '--porcelain=v2',
      '--branch',
      '-z',
      '--untracked-files=all',
      '--ignore-submodules=all',
      '--no-renames',
    );
    return text;
  } finally {
    execFileSync('chmod', ['-R', 'u+rwX', scratch]);
    rmSync(scratch, { recursive: true, force: true });
  }
}

const LISTS: Record<string, string[]> = {
  index: ['ls-files', '--stage', '-v', '-z'],
  staged: ['diff', '--cached', '--raw', '-z', '--no-renames', '--ignore-submodules=all'],
  planned: ['diff-files', '--diff-filter=A', '--name-only', '-z', '--ignore-submodules=all'],
  undo: ['ls-files', '--resolve-undo', '-z'],
  refs: ['for-each-ref', '--format=%(refname) %(objectname) %(symref)'],
  head: ['rev-parse', '--verify', 'HEAD'],
  branch: ['symbolic-ref', 'HEAD'],
  stash: ['log', '-g', '--format=%H %gs', 'refs/stash'],
  history: ['rev-list', '--parents', 'HEAD'],
  shallow: ['rev-parse', '--is-shallow-repository'],
  sparse: ['sparse-checkout', 'list'],
  notes: ['notes', 'list'],
};

const isInConflict = (stand: Stand, path: string): boolean =>
  [...stand.keys()].some(
    (key) => /^index \S+ \d+ \w+ [123]\t/.test(key) && key.endsWith(`\t${path}`),
  );

export function lookAt(worktree: string, scratch: string): Stand {
  const stand: Stand = new Map();
  files(worktree, stand);
  gitFiles(worktree, stand);
  for (const [what, args] of Object.entries(LISTS)) {
    const separator = args.includes('-z') ? '\0' : '\n';
    const rows = (ask(worktree, ...args) ?? 'refused').split(separator);
    if (what === 'staged') rows.splice(0, rows.length, rows.join(' '));
    const kept = rows.filter((row) => {
      if (what === 'refs') return !/ ?refs\/heads\/checkpoint\/[^/ ]+\/[^/ ]+ /.test(row);
      // What is in conflict again is resolved from its stages, and noted anew then.
      if (what === 'undo') return !isInConflict(stand, row.slice(row.indexOf('\t') + 1));
      return true;
    });
    kept.forEach((row, n) =>
      stand.set(/^(?:refs|index)$/.test(what) ? `${what} ${row}` : `${what} #${n}`, row),
    );
  }
  for (const row of (status(worktree, scratch) ?? 'refused').split('\0'))
    stand.set(`status ${row}`, row);
  return stand;
}

export function settingsOf(worktree: string): Settings {
  const rows = (ask(worktree, 'config', '--list', '-z') ?? '')
    .split('\0')
    .filter((row) => row !== '');
  return rows.map((row) => {
    const at = row.indexOf('\n');
    return at < 0 ? [row, 'true'] : [row.slice(0, at), row.slice(at + 1)];
  });
}

/** Every byte, mode and time below a folder. */
export function picture(folder: string): Stand {
  const stand: Stand = new Map();
  walk(
    folder,
    () => true,
    (path, full) => {
      const info = lstatSync(full, { bigint: true });
      stand.set(
        path.toString('latin1'),
        `${info.mode} ${info.mtimeNs} ${info.ino} ${describe(full)}`,
      );
    },
  );
  return stand;
}

/** Rows that only one side has, or that differ; without what the checkpoint says that it does not hold. */
export function differences(was: Stand, is: Stand, left: readonly NotCaptured[] = []): string[] {
  const rows: string[] = [];
  // Of a submodule, its commit is what a checkpoint holds.
  const modules = [...was.keys()].flatMap(
    (key) => /^index . 160000 .*\t(.*)$/s.exec(key)?.[1] ?? [],
  );
  for (const key of new Set([...was.keys(), ...is.keys()])) {
    if (was.get(key) === is.get(key) || isLeft(key, left)) continue;
    if (modules.some((path) => key === `file ${path}` || key.startsWith(`file ${path}/`))) continue;
    rows.push(
      `${key}: ${JSON.stringify(was.get(key) ?? null)} → ${JSON.stringify(is.get(key) ?? null)}`,
    );
  }
  return rows;
}

function isLeft(key: string, left: readonly NotCaptured[]): boolean {
  if (/^history|^status # branch\.ab/.test(key))
    return left.some(({ path }) => path === '.git/info/grafts');
  return left.some(({ path, reason }) => {
    const plain = Buffer.from(path.replace(/\/?\.git$/, '').replace(/\/$/, '')).toString('latin1');
    if (plain === '') return false;
    const inRepository = reason.startsWith('nested_repository: its files');
    if (key === `file ${plain}` || key.startsWith(`file ${plain}/`)) return !inRepository;
    if (key.startsWith('.git/')) return key === plain || key.startsWith(`${plain}/`);
    if (/^(?:status|planned)/.test(key))
      return key.endsWith(` ${plain}`) || key.includes(` ${plain}/`);
    return key.startsWith(`refs ${plain} `);
  });
}
