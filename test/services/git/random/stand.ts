import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  utimesSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ask } from './run.ts';

/*
 * How a worktree stands, asked of the file system and of the user's own git. It shares no code with what
 * it judges. Everything is latin1 text, one character a byte.
 */

export type Stand = {
  /** Kind, exec bit and content of every file and empty folder. */
  files: Map<string, string>;
  /** Entries of the index: mode, id, stage, flags. */
  index: Map<string, string>;
  status: string[];
  head: string;
  branch: string;
  refs: string[];
  /** Pseudo-refs, and the files of an operation under way, by name in the git directory. */
  operation: Map<string, string>;
  stash: string;
  settings: string[];
};

export function standOf(repo: string): Stand {
  const [gitDir = '', commonDir = ''] = ask(repo, [
    'rev-parse',
    '--path-format=absolute',
    '--git-dir',
    '--git-common-dir',
  ]).out.split('\n');
  const index = indexOf(repo);
  const links = [...index].flatMap(([path, value]) => (value.startsWith('160000') ? [path] : []));
  return {
    files: filesBelow(repo, new Set(links)),
    index,
    status: statusOf(repo, gitDir),
    head: ask(repo, ['rev-parse', '--verify', '-q', 'HEAD']).out,
    branch: ask(repo, ['symbolic-ref', '-q', 'HEAD']).out,
    refs: refsOf(repo),
    operation: operationOf(gitDir, commonDir),
    stash: stashOf(commonDir),
    settings: settingsOf(repo, gitDir),
  };
}

const digest = (content: Buffer): string => createHash('sha1').update(content).digest('hex');

/** Folders of submodules are left out: a checkpoint holds their commit id. */
export function filesBelow(top: string, links: ReadonlySet<string>): Map<string, string> {
  const files = new Map<string, string>();
  const visit = (folder: Buffer, prefix: string): number => {
    const names = readdirSync(folder, { encoding: 'buffer' });
    for (const name of names) {
      const path = prefix + name.toString('latin1');
      if (name.toString() === '.git' || links.has(path)) continue;
      const full = Buffer.concat([folder, Buffer.from('/'), name]);
      const info = lstatSync(full);
      if (info.isSymbolicLink()) files.set(path, `link ${readlinkSync(full, 'latin1')}`);
      else if (info.isFile()) {
        files.set(
          path,
          `file${(info.mode & 0o100) === 0 ? '' : '+x'} ${digest(readFileSync(full))}`,
        );
      } else if (!info.isDirectory()) files.set(path, 'special');
      else if (visit(full, `${path}/`) === 0) files.set(path, 'empty folder');
    }
    return names.length;
  };
  visit(Buffer.from(top), '');
  return files;
}

const FLAGS = 0x8000 | (1 << 30) | (1 << 29);

function indexOf(repo: string): Map<string, string> {
  const entries = new Map<string, string>();
  const rows = ask(repo, ['ls-files', '--stage', '-z']).out.split('\0');
  // The flags follow each path over several lines; the order is that of the rows.
  const debug = ask(repo, ['ls-files', '--debug', '-z']).out;
  const flags = [...debug.matchAll(/\tflags: ([0-9a-f]+)\n/g)].map((m) =>
    Number.parseInt(m[1] ?? '', 16),
  );
  for (const [n, row] of rows.entries()) {
    const tab = row.indexOf('\t');
    if (tab < 0) continue;
    const path = row.slice(tab + 1);
    const mark = ((flags[n] ?? 0) & FLAGS).toString(16);
    entries.set(path, `${entries.get(path) ?? ''}${row.slice(0, tab)} ${mark};`);
  }
  return entries;
}

/**
 * By the contents of files: git goes by times and sizes, and is blind to an edit of the same size whose time was put
 * back, unless its index is older than all files.
 */
function statusOf(repo: string, gitDir: string): string[] {
  const scratch = mkdtempSync(join(tmpdir(), 'defib-stand-'));
  const index = join(scratch, 'index');
  if (existsSync(join(gitDir, 'index'))) {
    copyFileSync(join(gitDir, 'index'), index);
    utimesSync(index, 1, 1);
  }
  const args = [
    '--no-optional-locks',
    'status',
    '--porcelain=v2',
    '--branch',
    '--show-stash',
    '-z',
    '--untracked-files=all',
    '--no-renames',
    '--ignore-submodules=all',
  ];
  const { code, out } = ask(repo, args, { env: { GIT_INDEX_FILE: index } });
  rmSync(scratch, { recursive: true });
  return code === 0 ? out.split('\0').filter((line) => line !== '') : [`exit code ${code}`];
}

/** Branches of checkpoints, by agent and session. */
const OURS = / refs\/heads\/checkpoint\/[^/]+\/[0-9a-f-]{36}$/;

function refsOf(repo: string): string[] {
  const { out } = ask(repo, ['for-each-ref', '--format=%(objectname) %(symref) %(refname)']);
  return out
    .split('\n')
    .filter((line) => line !== '' && !OURS.test(line))
    .sort();
}

/** Not the state of an operation: what `git init` makes, logs, caches, and what other tools own. */
const OTHER =
  /^(?:HEAD|config|config\.worktree|description|hooks|info|objects|refs|logs|packed-refs|index|index\.lock|sharedindex\..*|COMMIT_EDITMSG|FETCH_HEAD|branches|gc\.log|gc\.pid|modules|worktrees|commondir|gitdir|fsmonitor--daemon.*)$/;

function operationOf(gitDir: string, commonDir: string): Map<string, string> {
  const files = new Map<string, string>();
  const visit = (folder: string, prefix: string): void => {
    for (const name of readdirSync(folder)) {
      if (prefix === '' && OTHER.test(name)) continue;
      const info = lstatSync(join(folder, name));
      if (info.isDirectory()) visit(join(folder, name), `${prefix}${name}/`);
      else files.set(prefix + name, readFileSync(join(folder, name), 'latin1'));
    }
  };
  visit(gitDir, '');
  const shallow = textOf(join(commonDir, 'shallow'));
  files.delete('shallow');
  if (shallow !== '') files.set('shallow', shallow.split('\n').sort().join());
  return files;
}

/** All stash entries, newest last: their ids and messages, without who and when. */
const stashOf = (commonDir: string): string =>
  textOf(join(commonDir, 'logs/refs/stash')).replaceAll(/ [^\n\t]*\t/g, ' ');

const textOf = (file: string): string => (existsSync(file) ? readFileSync(file, 'latin1') : '');

const SETTINGS =
  /^(?:core\.(?:filemode|autocrlf|ignorecase|sparsecheckout|sparsecheckoutcone)|index\.sparse|status\.|remote\.|branch\.|extensions\.partialclone)/;

function settingsOf(repo: string, gitDir: string): string[] {
  const last = new Map<string, string>();
  for (const record of ask(repo, ['config', '--list', '-z']).out.split('\0')) {
    if (!SETTINGS.test(record)) continue;
    const at = record.indexOf('\n');
    const key = at < 0 ? record : record.slice(0, at);
    const value = at < 0 ? 'true' : record.slice(at + 1);
    // A remote's relative address names the same place by another text after a restore.
    last.set(key, key.endsWith('.url') && !/^[a-z]+:/.test(value) ? 'path' : value);
  }
  const sparse = last.get('core.sparsecheckout') === 'true';
  return [
    ...[...last].map(([key, value]) => `${key}=${value}`).sort(),
    ...(sparse ? [textOf(join(gitDir, 'info/sparse-checkout'))] : []),
  ];
}
