import type { Stats } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { displayPath } from './names.ts';

/** Something that is in the worktree and not in the checkpoint, and why. */
export type NotCaptured = { path: string; reason: string };

/**
 * Whether an entry only notes what is left out on purpose. An ignored path is nothing that went wrong; all other
 * reasons are a loss that somebody should hear of.
 */
export function isOnlyNote({ reason }: Pick<NotCaptured, 'reason'>): boolean {
  return /^ignored(?::|$)/.test(reason);
}

export type SizeCaps = {
  /** Bytes of one file. */
  maxFileBytes: number;
  /** Bytes of all files that one capture adds. */
  maxTotalBytes: number;
};

export type Vetted = { add: Buffer[]; gone: Buffer[]; notCaptured: NotCaptured[]; bytes: number };

const AT_ONCE = 64;

/**
 * Decides, by name, kind and size, which paths are handed to git. Paths are relative to `worktree`
 * and in order of importance: the total cap cuts from the end. `spent` bytes count as used already.
 */
export async function vetPaths(
  worktree: string,
  paths: readonly Buffer[],
  caps: SizeCaps,
  spent = 0,
): Promise<Vetted> {
  const vetted: Vetted = { add: [], gone: [], notCaptured: [], bytes: spent };
  const infos = await inBatches(paths, (path) => lstatOrNull(worktree, path));
  paths.forEach((path, n) => vetOne(path, infos[n], caps, vetted));
  return vetted;
}

/** The answers in the order of the items; so many questions at once that none waits for nothing. */
export async function inBatches<T, R>(
  items: readonly T[],
  ask: (item: T) => Promise<R>,
): Promise<R[]> {
  const answers: R[] = [];
  for (let from = 0; from < items.length; from += AT_ONCE) {
    answers.push(...(await Promise.all(items.slice(from, from + AT_ONCE).map(ask))));
  }
  return answers;
}

/** The absolute path, byte for byte. */
export function absolute(worktree: string, path: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${worktree}/`), path]);
}

/** Null for what is gone; undefined for what only git, which works with relative paths, may reach. */
async function lstatOrNull(worktree: string, path: Buffer): Promise<Stats | null | undefined> {
  return lstat(absolute(worktree, path)).catch((error: NodeJS.ErrnoException) =>
    error.code === 'ENOENT' || error.code === 'ENOTDIR' ? null : undefined,
  );
}

function vetOne(
  path: Buffer,
  info: Stats | null | undefined,
  caps: SizeCaps,
  vetted: Vetted,
): void {
  const refuse = (reason: string) => vetted.notCaptured.push({ path: displayPath(path), reason });
  if (hasGitComponent(path)) refuse('invalid_name: git cannot store a path with a ".git" part');
  else if (info === null) vetted.gone.push(path);
  else if (info?.isSymbolicLink() && isModulesFile(path)) {
    // The old file must not stand in for it.
    vetted.gone.push(path);
    refuse('invalid_name: git cannot store a link of this name');
  } else if (info === undefined || info.isSymbolicLink()) vetted.add.push(path);
  else if (!info.isFile()) {
    // The regular file that git knew is not there any more; what stands in its place cannot be saved.
    vetted.gone.push(path);
    if (!info.isDirectory()) refuse(specialReason(info));
  } else if (info.size > caps.maxFileBytes) {
    refuse(`too_large: ${info.size} bytes, the limit for one file is ${caps.maxFileBytes}`);
  } else if (vetted.bytes + info.size > caps.maxTotalBytes) {
    refuse(`total_too_large: the limit for one checkpoint is ${caps.maxTotalBytes} bytes`);
  } else {
    vetted.bytes += info.size;
    vetted.add.push(path);
  }
}

export function specialReason(info: Pick<Stats, 'isFIFO' | 'isSocket'>): string {
  if (info.isFIFO()) return 'special_file: a FIFO';
  return info.isSocket() ? 'special_file: a socket' : 'special_file: a device';
}

/** Git refuses links named `.gitmodules`, in any folder and any spelling. */
function isModulesFile(path: Buffer): boolean {
  return /(?:^|\/)\.gitmodules$/i.test(path.toString('latin1'));
}

/** Git refuses `.git` in any spelling as part of a path, and says so only on stderr. */
function hasGitComponent(path: Buffer): boolean {
  return /(?:^|\/)\.git(?:\/|$)/i.test(path.toString('latin1'));
}
