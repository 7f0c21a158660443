import { lstat, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { GitOptions } from './git.ts';
import { git } from './git.ts';
import type { Repository } from './repository.ts';

export type OperationKind = 'merge' | 'rebase' | 'am' | 'cherry-pick' | 'revert' | 'bisect';

/** A merge, rebase or the like that was under way: git's own state files, by name relative to the git dir. */
export type Operation = {
  kind: OperationKind;
  files: ReadonlyMap<string, Buffer>;
  /** Commits that the files name; the checkpoint must keep them alive. */
  commits: readonly string[];
};

const STATE_FILES = [
  'MERGE_HEAD',
  'MERGE_MSG',
  'MERGE_MODE',
  'MERGE_AUTOSTASH',
  'SQUASH_MSG',
  'CHERRY_PICK_HEAD',
  'REVERT_HEAD',
  'REBASE_HEAD',
  'ORIG_HEAD',
  'BISECT_START',
  'BISECT_LOG',
  'BISECT_TERMS',
  'BISECT_NAMES',
  'BISECT_EXPECTED_REV',
];
const STATE_FOLDERS = ['rebase-merge', 'rebase-apply', 'sequencer'];
const MAX_FILE = 4 * 1024 * 1024;
const MAX_COMMITS = 500;

/** Reads the state of an operation under way, or returns null. */
export async function readOperation(
  repository: Repository,
  options: GitOptions,
): Promise<Operation | null> {
  const present = new Set(await readdir(repository.gitDir));
  const kind = await kindOf(present, repository);
  if (kind === null) return null;
  const files = new Map<string, Buffer>();
  for (const name of STATE_FILES) {
    if (present.has(name)) await readInto(files, repository.gitDir, name);
  }
  for (const folder of STATE_FOLDERS) {
    if (present.has(folder)) await readFolder(files, repository.gitDir, folder);
  }
  return { kind, files, commits: await commitsNamedIn(files, options) };
}

/** Whether a path may be written into a git directory as part of restored state. */
export function isStatePath(path: string): boolean {
  if (STATE_FILES.includes(path)) return true;
  const match = /^([a-z-]+)\/[A-Za-z0-9._-]+$/.exec(path);
  return match?.[1] !== undefined && STATE_FOLDERS.includes(match[1]) && !path.includes('..');
}

async function kindOf(present: Set<string>, repository: Repository): Promise<OperationKind | null> {
  if (present.has('rebase-merge')) return 'rebase';
  if (present.has('rebase-apply')) {
    const inside: string[] = await readdir(join(repository.gitDir, 'rebase-apply')).catch(() => []);
    return inside.includes('applying') ? 'am' : 'rebase';
  }
  if (present.has('MERGE_HEAD')) return 'merge';
  if (present.has('CHERRY_PICK_HEAD')) return 'cherry-pick';
  if (present.has('REVERT_HEAD')) return 'revert';
  if (present.has('sequencer')) return 'cherry-pick';
  return present.has('BISECT_START') ? 'bisect' : null;
}

async function readFolder(files: Map<string, Buffer>, gitDir: string, folder: string) {
  const info = await lstat(join(gitDir, folder));
  if (!info.isDirectory()) return;
  for (const name of await readdir(join(gitDir, folder))) {
    if (isStatePath(`${folder}/${name}`)) await readInto(files, gitDir, `${folder}/${name}`);
  }
}

/** Only regular files: a link here could name any file that this process can read. */
async function readInto(files: Map<string, Buffer>, gitDir: string, name: string): Promise<void> {
  const path = join(gitDir, name);
  const info = await lstat(path).catch(() => null);
  if (!info?.isFile() || info.size > MAX_FILE) return;
  const content = await readFile(path).catch(() => null);
  if (content) files.set(name, content);
}

async function commitsNamedIn(files: Map<string, Buffer>, options: GitOptions): Promise<string[]> {
  const names = new Set<string>();
  for (const content of files.values()) {
    for (const match of content.toString('latin1').matchAll(/\b(?:[0-9a-f]{64}|[0-9a-f]{40})\b/g)) {
      if (names.size < MAX_COMMITS) names.add(match[0]);
    }
  }
  if (names.size === 0) return [];
  const { stdout } = await git(['cat-file', '--batch-check=%(objectname) %(objecttype)'], {
    ...options,
    stdin: `${[...names].join('\n')}\n`,
  });
  const lines = stdout.toString('latin1').split('\n');
  return lines.filter((line) => line.endsWith(' commit')).map((line) => line.split(' ')[0] ?? '');
}
