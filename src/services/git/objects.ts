import { createHash, randomUUID } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { deflate } from 'node:zlib';
import type { PrivateDir } from './private-dir.ts';
import { exists } from './private-dir.ts';

const deflateAsync = promisify(deflate);

/*
 * Small objects (commits, state files) are written here directly: through git, a checkpoint would cost
 * half a dozen more child processes. The format is that of gitformat-loose; tests hold it to `git fsck`.
 */

/** Writes one loose object into the private store and returns its id. */
export async function writeObject(
  dir: PrivateDir,
  type: 'blob' | 'tree' | 'commit',
  body: Buffer,
): Promise<string> {
  const object = Buffer.concat([Buffer.from(`${type} ${body.length}\0`), body]);
  const oid = createHash(dir.objectFormat).update(object).digest('hex');
  await writeLoose(dir.store, oid, type, body);
  return oid;
}

/** Writes an object under an id that is known to be its own. */
export async function writeLoose(
  store: string,
  oid: string,
  type: string,
  body: Buffer,
): Promise<void> {
  const folder = join(store, oid.slice(0, 2));
  const path = join(folder, oid.slice(2));
  if (await exists(path)) return;
  const object = Buffer.concat([Buffer.from(`${type} ${body.length}\0`), body]);
  await mkdir(folder, { recursive: true });
  const temporary = join(folder, `tmp_obj_${randomUUID()}`);
  await writeFile(temporary, await deflateAsync(object, { level: 1 }), { mode: 0o444 });
  await rename(temporary, path);
}

/** Content, or the id of a blob (or, with mode 40000, a tree) that exists. */
export type TreeFile = Buffer | { oid: string; mode?: '100644' | '40000' };

/** Files of a tree: path with slashes (plain text) → what is there. */
export type TreeFiles = ReadonlyMap<string, TreeFile>;

/** Writes blobs and trees for the files; the empty map gives the empty tree. */
export async function writeTree(dir: PrivateDir, files: TreeFiles): Promise<string> {
  const rows: { name: string; mode: string; oid: string }[] = [];
  const folders = new Map<string, Map<string, TreeFile>>();
  for (const [path, content] of files) {
    const slash = path.indexOf('/');
    if (slash < 0) {
      const oid = Buffer.isBuffer(content) ? await writeObject(dir, 'blob', content) : content.oid;
      const mode = Buffer.isBuffer(content) ? '100644' : (content.mode ?? '100644');
      rows.push({ name: path, mode, oid });
      continue;
    }
    const folder = folders.get(path.slice(0, slash)) ?? new Map<string, TreeFile>();
    folders.set(path.slice(0, slash), folder.set(path.slice(slash + 1), content));
  }
  for (const [name, children] of folders) {
    rows.push({ name, mode: '40000', oid: await writeTree(dir, children) });
  }
  return writeObject(dir, 'tree', treeBody(rows));
}

// Git sorts folders as if their names ended with a slash.
function sortKey(row: { name: string; mode: string }): Buffer {
  return Buffer.from(row.mode === '40000' ? `${row.name}/` : row.name);
}

function treeBody(rows: { name: string; mode: string; oid: string }[]): Buffer {
  rows.sort((a, b) => Buffer.compare(sortKey(a), sortKey(b)));
  return Buffer.concat(
    rows.flatMap((row) => [Buffer.from(`${row.mode} ${row.name}\0`), Buffer.from(row.oid, 'hex')]),
  );
}

export const IDENTITY = 'Defib <checkpoint@defib.invalid>';

export type CommitContent = { tree: string; parents: readonly string[]; message: string; at: Date };

/** Writes a commit by the fixed identity, dated `at` in UTC. */
export async function writeCommit(dir: PrivateDir, commit: CommitContent): Promise<string> {
  const who = `${IDENTITY} ${Math.floor(commit.at.getTime() / 1000)} +0000`;
  const lines = [
    `tree ${commit.tree}`,
    ...commit.parents.map((parent) => `parent ${parent}`),
    `author ${who}`,
    `committer ${who}`,
    '',
    commit.message,
  ];
  return writeObject(dir, 'commit', Buffer.from(`${lines.join('\n')}\n`));
}
