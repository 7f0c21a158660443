import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { captureIn, gitLine, put, restoreFrom, type Sandbox, seeded, userGit } from './helpers.ts';

const HASH = 20;

/** The extensions of an index without a split base, by name. */
function extensionsOf(index: Buffer): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  const tree = index.lastIndexOf('TREE');
  for (let at = tree; at >= 0 && at + 8 <= index.length - HASH;) {
    const end = at + 8 + index.readUInt32BE(at + 4);
    found.set(index.toString('latin1', at, at + 4), index.subarray(at, end));
    at = end;
  }
  return found;
}

/** Gives the index the trees that it had before a change of it, as some of git's own commands do. */
function keepTrees(box: Sandbox, change: () => void): void {
  const file = join(box.repo, '.git/index');
  const old = extensionsOf(readFileSync(file)).get('TREE') ?? Buffer.alloc(0);
  expect(old.length).toBeGreaterThan(8);
  change();
  const index = readFileSync(file);
  const now = extensionsOf(index);
  const at = index.lastIndexOf('TREE');
  const rest = [...now].flatMap(([name, bytes]) => (name === 'TREE' ? [] : [bytes]));
  const body = Buffer.concat([index.subarray(0, at < 0 ? index.length - HASH : at), old, ...rest]);
  writeFileSync(file, Buffer.concat([body, createHash('sha1').update(body).digest()]));
}

test.each(['staged.txt', 'dir/staged.txt'])(
  'what is staged at %s is saved, also where git has kept a tree without it',
  async (path) => {
    const box = seeded();
    put(box.repo, 'dir/one.txt', 'one\n');
    userGit(box.repo, ['add', '-A']);
    userGit(box.repo, ['write-tree']);
    put(box.repo, path, 'staged\n');
    keepTrees(box, () => userGit(box.repo, ['add', path]));
    // Git itself is taken in.
    expect(
      gitLine(box.repo, 'ls-tree', '-r', '--name-only', gitLine(box.repo, 'write-tree')),
    ).not.toContain('staged.txt');
    const { commit } = await captureIn(box);
    const restored = await restoreFrom(box, commit);
    expect(gitLine(restored.worktree, 'ls-files', '--', path)).toBe(path);
    expect(gitLine(restored.worktree, 'status', '--porcelain', '--', path)).toBe(`A  ${path}`);
  },
);
