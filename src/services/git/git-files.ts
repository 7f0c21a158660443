import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readPlain } from './plain-file.ts';
import type { Repository } from './repository.ts';
import { decide, isShared, isStatePath, OPEN_FOLDERS } from './state-list.ts';
import type { NotCaptured } from './vet.ts';

export type GitFiles = {
  /** Path in the git directory → content. */
  files: ReadonlyMap<string, Buffer>;
  /** Names at the top of the worktree's own git directory. */
  present: ReadonlySet<string>;
  notCaptured: NotCaptured[];
};

const MAX_FILE = 4 * 1024 * 1024;
const MAX_TOTAL = 32 * 1024 * 1024;
const MAX_NAMED = 100;

type Found = { files: Map<string, Buffer>; notCaptured: NotCaptured[]; bytes: number };

/** Reads what the list of git's state says is saved as a file, and names what is not saved. */
export async function readGitFiles(repository: Repository): Promise<GitFiles> {
  const { gitDir, commonDir } = repository;
  const found: Found = { files: new Map(), notCaptured: [], bytes: 0 };
  const present = await namesIn(gitDir);
  for (const name of present) {
    if (gitDir === commonDir || !isShared(name)) await look(found, gitDir, name);
  }
  if (gitDir !== commonDir) {
    for (const name of (await namesIn(commonDir)).filter(isShared)) {
      await look(found, commonDir, name);
    }
  }
  const { files, notCaptured } = found;
  return { files, present: new Set(present), notCaptured: notCaptured.slice(0, MAX_NAMED) };
}

async function namesIn(folder: string): Promise<string[]> {
  return (await readdir(folder).catch((): string[] => [])).sort();
}

async function look(found: Found, gitDir: string, path: string): Promise<void> {
  const { decision, why } = decide(path);
  const open = OPEN_FOLDERS.some((name) => name === path);
  if (decision !== 'file' && !open) {
    if (decision === 'named') name(found, path, `not_carried: ${why}`);
    return;
  }
  const info = await lstat(join(gitDir, path)).catch(() => null);
  if (info?.isDirectory()) {
    for (const inner of await namesIn(join(gitDir, path))) {
      await look(found, gitDir, `${path}/${inner}`);
    }
  } else if (info && decision === 'named') name(found, path, `not_carried: ${why}`);
  else if (info) await take(found, gitDir, path, info);
}

/** Only regular files: a link here could name any file that this process can read. */
async function take(
  found: Found,
  gitDir: string,
  path: string,
  info: { size: number; isFile: () => boolean },
): Promise<void> {
  if (!info.isFile() || !isStatePath(path))
    return name(found, path, 'not_carried: not a plain file');
  if (info.size > MAX_FILE || found.bytes + info.size > MAX_TOTAL) {
    return name(found, path, `too_large: ${info.size} bytes of git’s own state`);
  }
  const content = await readPlain(join(gitDir, path), MAX_FILE);
  if (!content) return;
  found.bytes += content.length;
  found.files.set(path, content);
}

function name(found: Found, path: string, reason: string): void {
  found.notCaptured.push({ path: `.git/${path}`, reason });
}
