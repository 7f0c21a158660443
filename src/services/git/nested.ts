import { join, resolve } from 'node:path';
import type { GitOptions } from './git.ts';
import { git, splitNul } from './git.ts';
import { displayPath } from './names.ts';
import { readPlainText } from './plain-file.ts';
import type { PrivateDir } from './private-dir.ts';
import { exists } from './private-dir.ts';
import type { Repository } from './repository.ts';
import type { NotCaptured } from './vet.ts';

export type Nested = { files: Buffer[]; notCaptured: NotCaptured[] };

const MAX_DEPTH = 4;

/**
 * Files of a repository that lies untracked inside the worktree. Git would record at most its commit id
 * (and refuse the whole snapshot when it has none); scaffolding tools create such repositories
 * all the time, so the files are saved as ordinary files. Its history is not, and that is reported.
 */
export async function nestedFiles(
  repository: Repository,
  dir: PrivateDir,
  folder: Buffer,
  options: GitOptions,
  depth = 0,
): Promise<Nested> {
  const path = folder.at(-1) === 0x2f ? folder.subarray(0, -1) : folder;
  const name = path.toString('utf8');
  const git = { path: `${displayPath(path)}/.git` };
  if (!Buffer.from(name).equals(path) || depth > MAX_DEPTH) {
    return { files: [], notCaptured: [{ ...git, reason: 'nested_repository: not looked into' }] };
  }
  const top = join(repository.worktree, name);
  if (await isLinkedWorktree(top)) {
    const reason = 'linked_worktree: it has checkpoints of its own';
    return { files: [], notCaptured: [{ path: `${displayPath(path)}/`, reason }] };
  }
  const found = await untrackedFiles(top, dir, options).catch((error: unknown) => {
    if (options.signal?.aborted) throw error;
    return null;
  });
  if (found === null) {
    return { files: [], notCaptured: [{ ...git, reason: 'nested_repository: it cannot be read' }] };
  }
  const nested: Nested = {
    files: [],
    notCaptured: [{ ...git, reason: 'nested_repository: its files are saved, its history is not' }],
  };
  for (const file of found) {
    const full = Buffer.concat([path, Buffer.from('/'), file]);
    if (file.at(-1) !== 0x2f) nested.files.push(full);
    else merge(nested, await nestedFiles(repository, dir, full, options, depth + 1));
  }
  return nested;
}

function merge(into: Nested, from: Nested): void {
  into.files.push(...from.files);
  into.notCaptured.push(...from.notCaptured);
}

async function untrackedFiles(
  top: string,
  dir: PrivateDir,
  options: GitOptions,
): Promise<Buffer[]> {
  // With no index at all, every file that is not ignored counts as untracked.
  const { stdout } = await git(['ls-files', '--others', '--exclude-standard', '-z'], {
    ...options,
    workTree: top,
    cwd: top,
    indexFile: join(dir.path, 'no-index'),
  });
  return splitNul(stdout);
}

/** A worktree added with `git worktree add` has a `.git` file that leads to a folder with `commondir`. */
async function isLinkedWorktree(top: string): Promise<boolean> {
  const text = await readPlainText(join(top, '.git'), 8192).catch(() => null);
  const target = /^gitdir: ?(.+?)[\r\n]*$/s.exec(text ?? '')?.[1];
  return target !== undefined && exists(join(resolve(top, target), 'commondir'));
}
