import { DATA_MARKER, isDataMarker } from '../../data-dir.ts';
import { readPlain } from './plain-file.ts';
import type { Look } from './scan.ts';
import { absolute, inBatches } from './vet.ts';

/*
 * Defib's own data may lie in a worktree: the live database, credentials, worktrees of other sessions. None of it
 * is the agent's work. It is known by a file in it, not by its name, which everybody may choose.
 */

/** Why nothing below a data directory is in a checkpoint. */
export const DATA_DIR_REASON = 'ignored: a data directory of Defib';

const MAX_MARKER = 4096;

/**
 * The topmost data directories that paths of a worktree lie in, by {@link keyOf}. `marked` are looked at for the marker
 * itself, of `inside` every folder above.
 */
export async function findDataDirs(
  worktree: string,
  inside: readonly Buffer[],
  marked: readonly Buffer[] = [],
): Promise<Set<string>> {
  const folders = new Set(inside.flatMap((path) => foldersAbove(keyOf(path))));
  for (const path of marked) {
    const [folder, name] = splitLast(keyOf(path));
    if (folder !== '' && name === DATA_MARKER) folders.add(folder);
  }
  const asked = [...folders];
  const found = await inBatches(asked, (folder) => isDataDir(worktree, folder));
  const all = new Set(asked.filter((_, n) => found[n]));
  return new Set([...all].filter((folder) => !foldersAbove(folder).some((each) => all.has(each))));
}

async function isDataDir(worktree: string, folder: string): Promise<boolean> {
  const marker = absolute(worktree, Buffer.from(`${folder}/${DATA_MARKER}`, 'latin1'));
  const text = await readPlain(marker, MAX_MARKER).catch(() => null);
  return text !== null && isDataMarker(text.toString('utf8'));
}

/** What a look found, without data directories: they count as ignored folders from here on. */
export async function withoutDataDirs(worktree: string, look: Look): Promise<Look> {
  const { scan, odd } = look;
  const inside = [...scan.changed, ...scan.nested, ...odd.repositories, ...scan.unreadable];
  const own = await findDataDirs(worktree, inside, scan.ignored);
  if (own.size === 0) return look;
  const outside = outsideOf(own);
  const folders = [...own].map((folder) => Buffer.from(`${folder}/`, 'latin1'));
  return {
    odd,
    scan: {
      ...scan,
      changed: scan.changed.filter(outside),
      nested: scan.nested.filter(outside),
      unreadable: scan.unreadable.filter(outside),
      ignored: [...scan.ignored.filter(outside), ...folders],
      dataDirs: folders,
    },
  };
}

/** Tests whether a path lies outside all of these folders. */
export function outsideOf(folders: ReadonlySet<string>): (path: Buffer) => boolean {
  return (path) => {
    const at = keyOf(path);
    return !folders.has(at) && !foldersAbove(at).some((folder) => folders.has(folder));
  };
}

/** A path as text that keeps every byte, without the slash that ends a folder's. */
export const keyOf = (path: Buffer): string => path.toString('latin1').replace(/\/$/, '');

/** `a/b/c`: `a` and `a/b`. */
export function foldersAbove(path: string): string[] {
  const parts = path.split('/');
  return parts.slice(1).map((_, n) => parts.slice(0, n + 1).join('/'));
}

function splitLast(path: string): [folder: string, name: string] {
  const at = path.lastIndexOf('/');
  return at < 0 ? ['', path] : [path.slice(0, at), path.slice(at + 1)];
}
