import type { GitOptions } from './git.ts';
import { kindsOf } from './keepable.ts';

/*
 * When a conflict is resolved, git notes its stages in the index, so that `git checkout --merge` and `git rerere
 * forget` can bring it back: "resolve undo" in gitformat-index(5).
 */

/** A stage of a conflict that was resolved. */
export type Undo = { path: Buffer; mode: number; oid: string; stage: number };

const SUBMODULE = 0o160000;

/** Reads the extension: for each path its name, three modes in octal (0: no such stage), and the ids of the others. */
export function readUndo(body: Buffer, hashBytes: number): Undo[] {
  const found: Undo[] = [];
  let at = 0;
  const text = (): Buffer => {
    const end = body.indexOf(0, at);
    const part = body.subarray(at, end < 0 ? body.length : end);
    at = end < 0 ? body.length : end + 1;
    return part;
  };
  while (at < body.length) {
    const path = text();
    const modes = [1, 2, 3].map((stage) => ({
      stage,
      mode: Number.parseInt(text().toString('latin1'), 8),
    }));
    for (const { stage, mode } of modes.filter((it) => it.mode > 0)) {
      const oid = body.toString('hex', at, at + hashBytes);
      at += hashBytes;
      if (oid.length === hashBytes * 2) found.push({ path, mode, oid, stage });
    }
  }
  return found;
}

/** Those of which every stage is still there: git does not keep them from being pruned in each version. */
export async function wholeUndo(undo: readonly Undo[], options: GitOptions): Promise<Undo[]> {
  if (undo.length === 0) return [];
  const files = undo.filter(({ mode }) => mode !== SUBMODULE);
  const kinds = await kindsOf(
    files.map(({ oid }) => oid),
    options,
  );
  const isGone = ({ oid }: Undo): boolean => kinds.get(oid) !== 'blob';
  const gone = new Set(files.filter(isGone).map(({ path }) => path.toString('latin1')));
  return undo.filter(({ path }) => !gone.has(path.toString('latin1')));
}
