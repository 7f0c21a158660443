import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { git, put, Rng, type World } from './kit.ts';

type Make = (world: World) => void;

function init(world: World, ...args: string[]): void {
  mkdirSync(world.repo, { recursive: true });
  git(world.repo, ['init', '--quiet', '-b', 'main', ...args]);
}

function fill(world: World): void {
  put(world, 'a.txt', 'one\ntwo\nthree\n');
  put(world, 'b.txt', 'crlf\r\nends\r\n');
  put(world, 'dir/c.txt', '$Id$\n');
  put(world, 'run.sh', '#!/bin/sh\n', 0o755);
  put(world, '.gitignore', '*.ignored\nbuild/*\n!build/keep.txt\n');
  git(world.repo, ['add', '-A']);
  git(world.repo, ['commit', '--quiet', '-m', 'first']);
  put(world, 'a.txt', 'one\nTWO\nthree\n');
  git(world.repo, ['commit', '--quiet', '-am', 'second']);
  git(world.repo, ['branch', 'other', 'HEAD~1']);
}

/** A second repository with the same files, to clone from. */
function origin(world: World): string {
  const elsewhere = { ...world, repo: join(world.root, 'origin') };
  init(elsewhere);
  fill(elsewhere);
  return elsewhere.repo;
}

const clone = (world: World, ...args: string[]): void => {
  git(world.root, ['clone', '--quiet', ...args, `file://${origin(world)}`, world.repo]);
};

const KINDS: Record<string, Make> = {
  plain: (world) => {
    init(world);
    fill(world);
  },
  sha256: (world) => {
    init(world, '--object-format=sha256');
    fill(world);
  },
  unborn: (world) => {
    init(world);
    put(world, 'a.txt', 'one\n');
    git(world.repo, ['add', 'a.txt']);
  },
  empty: (world) => init(world),
  clone: (world) => clone(world),
  shallow: (world) => clone(world, '--depth=1', '--no-single-branch'),
  shared: (world) => {
    git(world.root, ['clone', '--quiet', '--shared', origin(world), world.repo]);
  },
  reference: (world) => clone(world, '--reference', join(world.root, 'origin')),
  linked: (world) => {
    const main = origin(world);
    git(main, ['worktree', 'add', '--quiet', '-b', 'linked', world.repo]);
  },
  linkedDetached: (world) => {
    const main = origin(world);
    git(main, ['config', 'extensions.worktreeConfig', 'true']);
    git(main, ['worktree', 'add', '--quiet', '--detach', world.repo, 'other']);
    git(world.repo, ['config', '--worktree', 'core.autocrlf', 'input']);
  },
  ofBare: (world) => {
    const bare = join(world.root, 'bare.git');
    git(world.root, ['clone', '--quiet', '--bare', `file://${origin(world)}`, bare]);
    git(bare, ['worktree', 'add', '--quiet', world.repo, 'other']);
  },
  separate: (world) => {
    init(world, `--separate-git-dir=${join(world.root, 'git.dir')}`);
    fill(world);
  },
  crlf: (world) => {
    init(world);
    git(world.repo, ['config', 'core.autocrlf', 'true']);
    fill(world);
  },
  sparse: (world) => {
    clone(world);
    git(world.repo, ['sparse-checkout', 'set', '--cone', 'dir']);
  },
  sparseIndex: (world) => {
    clone(world);
    git(world.repo, ['sparse-checkout', 'set', '--cone', '--sparse-index', 'Dir']);
  },
  split: (world) => {
    init(world);
    fill(world);
    git(world.repo, ['update-index', '--split-index']);
  },
  indexFour: (world) => {
    init(world);
    git(world.repo, ['config', 'feature.manyFiles', 'true']);
    fill(world);
    git(world.repo, ['update-index', '--index-version', '4']);
  },
  submodule: (world) => {
    const from = origin(world);
    init(world);
    fill(world);
    git(world.repo, ['submodule', '--quiet', 'add', from, 'mod']);
    git(world.repo, ['commit', '--quiet', '-m', 'module']);
  },
};

export function makeWorld(root: string, seed: number): World {
  const world: World = { root, repo: join(root, 'repo'), rng: new Rng(seed), log: [], count: 0 };
  const kind = world.rng.chance(0.35) ? 'plain' : world.rng.pick(Object.keys(KINDS));
  world.log.push(kind);
  KINDS[kind]?.(world);
  return world;
}
