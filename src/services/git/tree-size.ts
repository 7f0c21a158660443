import { AppError } from '../../errors.ts';
import { readObjects } from './checkpoint.ts';
import type { GitOptions } from './git.ts';
import { git } from './git.ts';

/*
 * A tree may name the same folder many times, and that folder another: a few hundred bytes then stand for
 * more paths than any disk has room for. Whoever lists, compares or checks out such a tree needs time and
 * memory for each of them, so they are counted first, every folder once.
 */

type TreeSize = { paths: number; bytes: number };

export const MAX_TREE: TreeSize = { paths: 2_000_000, bytes: 512 * 1024 * 1024 };
/** Folders in folders; no path of a file system goes deeper. */
const MAX_DEPTH = 2048;
const MODE_TREE = '40000';

/**
 * Refuses trees that hold too many paths.
 *
 * @param trees object ids of trees or commits that are at hand
 * @throws AppError `invalid`
 */
export async function requireModestTrees(
  trees: readonly string[],
  options: GitOptions,
  max: TreeSize = MAX_TREE,
): Promise<void> {
  const folders = await readFolders(trees, options);
  const known = new Map<string, TreeSize>();
  for (const oid of folders.keys()) {
    const { paths, bytes } = sizeOf(oid, folders, known, max, 0);
    if (paths > max.paths || bytes > max.bytes) throw tooMany(max);
  }
}

type Entry = { tree: string | null; nameLength: number };

/** All folders below the trees by object id. Those that are missing (a partial clone) hold nothing. */
async function readFolders(
  trees: readonly string[],
  options: GitOptions,
): Promise<Map<string, Entry[]>> {
  const list = ['rev-list', '--objects', '--no-object-names', '--no-walk', '--missing=allow-any'];
  const { stdout } = await git([...list, '--filter=object:type=tree', '--stdin'], {
    ...options,
    stdin: `${trees.map((oid) => `${oid}^{tree}`).join('\n')}\n`,
  });
  const oids = stdout.toString('latin1').split('\n').filter(Boolean);
  const bodies = oids.length === 0 ? [] : await readObjects(oids, options);
  return new Map(
    oids.flatMap((oid, n): [string, Entry[]][] => {
      const body = bodies[n];
      return body ? [[oid, entriesOf(body, oid.length / 2)]] : [];
    }),
  );
}

/** The entries of a tree object: `<mode> <name>\0<object id>`, one after the other. */
function entriesOf(body: Buffer, oidBytes: number): Entry[] {
  const entries: Entry[] = [];
  for (let at = 0; at < body.length;) {
    const space = body.indexOf(0x20, at);
    const end = body.indexOf(0, space);
    if (space < 0 || end < 0) break;
    const isTree = body.toString('latin1', at, space) === MODE_TREE;
    const oid = body.subarray(end + 1, end + 1 + oidBytes);
    entries.push({ tree: isTree ? oid.toString('hex') : null, nameLength: end - space });
    at = end + 1 + oidBytes;
  }
  return entries;
}

function sizeOf(
  oid: string,
  folders: Map<string, Entry[]>,
  known: Map<string, TreeSize>,
  max: TreeSize,
  depth: number,
): TreeSize {
  const before = known.get(oid);
  if (before) return before;
  if (depth > MAX_DEPTH) throw tooMany(max);
  const size: TreeSize = { paths: 0, bytes: 0 };
  for (const { tree, nameLength } of folders.get(oid) ?? []) {
    const below = tree === null ? null : sizeOf(tree, folders, known, max, depth + 1);
    size.paths += 1 + (below?.paths ?? 0);
    size.bytes += nameLength + (below === null ? 0 : below.bytes + below.paths * nameLength);
  }
  known.set(oid, size);
  return size;
}

function tooMany(max: TreeSize): AppError {
  return new AppError(
    'invalid',
    `The commit holds folders in folders that make more than ${max.paths} paths; no worktree is that large.`,
  );
}
