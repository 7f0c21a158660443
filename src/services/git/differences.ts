import type { GitOptions } from './git.ts';
import { git, splitNul } from './git.ts';
import type { ObjectFormat } from './private-dir.ts';

/** One path that differs between two trees. `oid` is null where it is gone or is a submodule. */
export type Difference = {
  path: Buffer;
  status: string;
  /** In octal; `000000`: there is none. */
  oldMode: string;
  mode: string;
  oldOid: string;
  oid: string | null;
};

/** Of a submodule's entry in a tree. */
export const GITLINK_MODE = '160000';

export const EMPTY_TREE: Record<ObjectFormat, string> = {
  sha1: '4b825dc642cb6eb9a060e54bf8d69288fbee4904',
  sha256: '6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321',
};

/** What differs between a commit or tree (or nothing) and a tree. Renames count as two paths. */
export async function differences(
  from: string | null,
  to: string,
  format: ObjectFormat,
  options: GitOptions,
): Promise<Difference[]> {
  const { stdout } = await git(
    [
      'diff-tree',
      '-r',
      '-z',
      '--raw',
      '--no-renames',
      '--no-abbrev',
      // Else git asks .gitmodules what to leave out, and gives up where it cannot be read.
      '--ignore-submodules=none',
      from ?? EMPTY_TREE[format],
      to,
    ],
    options,
  );
  const records = splitNul(stdout);
  const found: Difference[] = [];
  for (let n = 0; n + 1 < records.length; n += 2) {
    const [oldMode = '', mode = '', oldOid = '', oid = '', status = ''] =
      records[n]?.toString('latin1', 1).split(' ') ?? [];
    const object = mode === '000000' || mode === GITLINK_MODE ? null : oid;
    const path = records[n + 1] ?? Buffer.alloc(0);
    found.push({ path, status, oldMode, mode, oldOid, oid: object });
  }
  return found;
}

/** Ids among the differences whose objects are nowhere to be found. */
export async function missingObjects(
  list: readonly Difference[],
  options: GitOptions,
): Promise<string[]> {
  return missingOids(
    list.flatMap((item) => (item.oid === null ? [] : [item.oid])),
    options,
  );
}

/** Those of the ids whose objects are nowhere to be found. */
export async function missingOids(list: readonly string[], options: GitOptions): Promise<string[]> {
  const oids = [...new Set(list)];
  if (oids.length === 0) return [];
  const { stdout } = await git(['cat-file', '--batch-check=%(objectname)', '--buffer'], {
    ...options,
    stdin: `${oids.join('\n')}\n`,
  });
  const lines = stdout.toString('latin1').split('\n');
  return oids.filter((_, n) => lines[n]?.endsWith(' missing') ?? true);
}
