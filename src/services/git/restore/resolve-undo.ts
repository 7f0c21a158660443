import type { GitOptions } from '../git.ts';
import { git, splitNul } from '../git.ts';
import { nulTerminated } from '../stage.ts';

type Record = { path: Buffer; whole: Buffer };

/**
 * Brings back what git noted of resolved conflicts. Git notes it only when it resolves one, so each is put into the
 * index and resolved once more, to the entry that stands there.
 */
export async function restoreUndo(records: Buffer, options: GitOptions): Promise<void> {
  const stages = parse(records);
  const now = parse((await git(['ls-files', '--stage', '-z'], options)).stdout);
  const entries = Map.groupBy(now, ({ path }) => path.toString('latin1'));
  const paths = Map.groupBy(stages, ({ path }) => path.toString('latin1'));
  for (const [key, conflict] of paths) {
    const present = entries.get(key) ?? [];
    // What is in conflict now has nothing to be undone.
    if (present.length > 1 || present.some(({ whole }) => !isMerged(whole))) continue;
    await resolveAgain(conflict, present[0], options);
  }
}

async function resolveAgain(
  conflict: readonly Record[],
  present: Record | undefined,
  options: GitOptions,
): Promise<void> {
  const path = conflict[0]?.path ?? Buffer.alloc(0);
  const update = ['update-index', '-z'];
  const [, oid = ''] = conflict[0]?.whole.toString('latin1', 0, 80).split(' ') ?? [];
  const removal = Buffer.concat([Buffer.from(`0 ${'0'.repeat(oid.length)} 0\t`), path]);
  const stdin = nulTerminated([removal, ...conflict.map(({ whole }) => whole)]);
  const info = [...update, '--index-info'];
  // Refused where a folder has taken the place of the file; then nothing is written.
  const { code } = await git(info, { ...options, stdin, okCodes: [128] });
  if (code !== 0) return;
  if (present) await git(info, { ...options, stdin: nulTerminated([present.whole]) });
  else {
    const gone = nulTerminated([path]);
    await git([...update, '--force-remove', '--stdin'], { ...options, stdin: gone });
  }
}

const parse = (records: Buffer): Record[] =>
  splitNul(records).map((whole) => ({ path: whole.subarray(whole.indexOf(0x09) + 1), whole }));

const isMerged = (record: Buffer): boolean => record[record.indexOf(0x09) - 1] === 0x30;
