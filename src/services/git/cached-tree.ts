import { createHash } from 'node:crypto';
import type { IndexEntry } from './index-file.ts';

/*
 * Git keeps in its index the trees that it last wrote (the extension TREE of gitformat-index(5)), and believes
 * them. Some of its own commands leave one that lacks an entry, such as the removal of a mark of
 * `git add --intent-to-add` beside a submodule in 2.39; then `git write-tree` writes a tree without it.
 */

type Node = { prefix: Buffer; count: number };

/** Whether a cached tree stands for another number of entries than there are below its folder. */
export function isStale(body: Buffer, entries: readonly IndexEntry[], hashBytes: number): boolean {
  return nodesIn(body, hashBytes).some(
    ({ prefix, count }) => count >= 0 && count !== countBelow(entries, prefix),
  );
}

/** Each record: the name of a folder, NUL, `<entries> <subtrees>`, newline, and its tree unless the entries are -1. */
function nodesIn(body: Buffer, hashBytes: number): Node[] {
  const nodes: Node[] = [];
  let at = 0;
  const read = (parent: Buffer): void => {
    const nul = body.indexOf(0, at);
    const end = nul < 0 ? -1 : body.indexOf(0x0a, nul);
    if (end < 0) return void (at = body.length);
    const name = body.subarray(at, nul);
    const [count = -1, subtrees = 0] = body
      .toString('latin1', nul + 1, end)
      .split(' ')
      .map(Number);
    const prefix = name.length === 0 ? parent : Buffer.concat([parent, name, Buffer.from('/')]);
    nodes.push({ prefix, count });
    at = end + 1 + (count >= 0 ? hashBytes : 0);
    for (let n = 0; n < subtrees && at < body.length; n += 1) read(prefix);
  };
  read(Buffer.alloc(0));
  return nodes;
}

/** Entries are in the order of their paths' bytes, so those of a folder lie together. */
function countBelow(entries: readonly IndexEntry[], prefix: Buffer): number {
  if (prefix.length === 0) return entries.length;
  const after = Buffer.from(prefix);
  // The byte behind "/".
  after[after.length - 1] = 0x30;
  return firstFrom(entries, after) - firstFrom(entries, prefix);
}

/** The place of the first entry that does not come before a path. */
function firstFrom(entries: readonly IndexEntry[], path: Buffer): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (Buffer.compare(entries[middle]?.path ?? path, path) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The index without its cached trees, and without the table of extensions that would miss them. */
export function withoutCachedTree(index: Buffer, extensionsAt: number, hashBytes: number): Buffer {
  const kept = [index.subarray(0, extensionsAt)];
  for (let at = extensionsAt; at + 8 <= index.length - hashBytes;) {
    const end = at + 8 + index.readUInt32BE(at + 4);
    const name = index.toString('latin1', at, at + 4);
    if (name !== 'TREE' && name !== 'EOIE') kept.push(index.subarray(at, end));
    at = end;
  }
  const body = Buffer.concat(kept);
  const sum = createHash(hashBytes === 32 ? 'sha256' : 'sha1')
    .update(body)
    .digest();
  return Buffer.concat([body, sum]);
}
