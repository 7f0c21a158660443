import { cpSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Sandbox } from '../helpers.ts';
import { ask, must } from './run.ts';

export const BASES = [
  'plain',
  'plain',
  'plain',
  'clone',
  'partial',
  'sparse-partial',
  'shallow',
  'linked',
  'submodule',
  'empty',
] as const;
export type Base = (typeof BASES)[number];

const put = (repo: string, files: Record<string, string>): void => {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(repo, path)), { recursive: true });
    writeFileSync(join(repo, path), content);
  }
};

function commit(repo: string, message: string, files: Record<string, string>): void {
  put(repo, files);
  must(repo, ['add', '-A', '-f']);
  must(repo, ['commit', '-q', '-m', message]);
}

/**
 * A repository to begin from: branches that conflict, one that tracks what is ignored elsewhere, one with
 * merges to rebase, a line of steps to bisect, and folders to leave out of a sparse checkout.
 */
function buildPlain(repo: string): void {
  mkdirSync(repo, { recursive: true });
  must(repo, ['init', '-q', '-b', 'main']);
  const folders = { 'dir/one': '1\n', 'dir/two': '2\n', 'lib/x': 'x\n', 'lib/deep/y': 'y\n' };
  commit(repo, 'first', {
    a: 'one\n',
    'b.txt': 'two\n',
    'c d': '3\n',
    conflict: 'base\n',
    ...folders,
  });
  for (const n of [1, 2, 3]) commit(repo, `step ${n}`, { steps: `${n}\n` });
  must(repo, ['checkout', '-q', '-b', 'tracks-ignored']);
  commit(repo, 'tracks what is ignored', { 'dist/x': 'built\n', 'y.log': 'log\n' });
  must(repo, ['checkout', '-q', '-b', 'topic', 'main']);
  commit(repo, 'topic 1', { 'topic/1': '1\n' });
  must(repo, ['checkout', '-q', '-b', 'inner', 'HEAD']);
  commit(repo, 'inner', { 'lib/x': 'inner\n' });
  must(repo, ['checkout', '-q', 'topic']);
  commit(repo, 'topic 2', { conflict: 'topic\n' });
  must(repo, ['merge', '-q', '--no-ff', '-m', 'merge inner', 'inner']);
  commit(repo, 'topic 3', { 'topic/3': '3\n' });
  must(repo, ['checkout', '-q', '-b', 'side', 'main']);
  commit(repo, 'side', { conflict: 'side\n', 'dir/one': 'side\n', a: 'side\n' });
  must(repo, ['checkout', '-q', 'main']);
  commit(repo, 'main', { conflict: 'main\n', steps: '4\n' });
  must(repo, ['tag', '-a', '-m', 'note', 'v1']);
  rmSync(join(repo, '.git/ORIG_HEAD'), { force: true });
}

const FILE = ['-c', 'protocol.file.allow=always'] as const;

function build(base: Base, root: string): void {
  const repo = join(root, 'repo');
  if (base === 'empty') {
    mkdirSync(repo);
    must(repo, ['init', '-q', '-b', 'main']);
    return;
  }
  buildPlain(repo);
  if (base === 'plain') return;
  if (base === 'submodule') {
    cpSync(repo, join(root, 'other'), { recursive: true });
    must(repo, [...FILE, 'submodule', '--quiet', 'add', '../other', 'sub']);
    must(repo, ['commit', '-q', '-m', 'submodule']);
    return;
  }
  if (base === 'linked') {
    renameSync(repo, join(root, 'main'));
    must(join(root, 'main'), ['worktree', 'add', '-q', '-b', 'linked', '../repo', 'main']);
    return;
  }
  renameSync(repo, join(root, 'remote'));
  must(join(root, 'remote'), ['config', 'uploadpack.allowFilter', 'true']);
  must(join(root, 'remote'), ['config', 'uploadpack.allowAnySHA1InWant', 'true']);
  const how = {
    clone: [],
    partial: ['--filter=blob:none'],
    'sparse-partial': ['--filter=blob:none', '--sparse'],
    shallow: ['--depth=2', '--no-single-branch'],
  }[base];
  must(root, ['clone', '-q', ...how, `file://${root}/remote`, 'repo']);
  for (const branch of ['side', 'topic', 'tracks-ignored']) {
    must(repo, ['branch', '-q', branch, `origin/${branch}`]);
  }
}

const templates = new Map<Base, string>();

/** Puts a repository of the kind into `root`; each kind is made once in `store` and copied from there. */
export function begin(base: Base, root: string, store: string): Sandbox {
  if (base === 'linked' || base === 'clone' || base.includes('partial') || base === 'shallow') {
    build(base, root); // its paths are absolute
  } else {
    let template = templates.get(base);
    if (template === undefined) {
      template = join(store, base);
      mkdirSync(template);
      build(base, template);
      templates.set(base, template);
    }
    cpSync(template, root, { recursive: true, preserveTimestamps: true });
  }
  const repo = join(root, 'repo');
  ask(repo, ['update-index', '-q', '--refresh']);
  return { root, repo, privateDir: join(root, 'private', 'session') };
}

/** The remote goes away: what was not fetched cannot be had any more. */
export function removeRemote(root: string): void {
  rmSync(join(root, 'remote'), { recursive: true, force: true });
}
