import { lstat, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { GitOptions } from './git.ts';
import { git } from './git.ts';
import type { IndexEntry } from './index-file.ts';
import { GITLINK, readIndexSince } from './index-file.ts';
import type { PrivateDir } from './private-dir.ts';
import { hashBytes } from './private-dir.ts';
import { infoLine } from './user-index.ts';
import { absolute } from './vet.ts';

/*
 * Git compares times in whole seconds (unless built with USE_NSEC). A file that was recorded, and then changed
 * within the same second, with size and mtime put back, looks clean to it. Only entries whose change
 * time lies in the second in which the index was written can be such: the suspects. They are compared
 * again here, in nanoseconds.
 */

const takenSchema = z.object({ commit: z.string(), tree: z.string(), filesChanged: z.number() });
const notesSchema = z.object({
  writtenNs: z.string(),
  taken: takenSchema,
  suspects: z.array(
    z.object({ path: z.string(), mode: z.number(), oid: z.string(), ctimeNs: z.string() }),
  ),
});

/** The kernel's clock for files ticks every few milliseconds; closer than this, nothing can be told. */
const TICK_NS = 20_000_000n;
const SECOND_NS = 1_000_000_000n;

export type Suspect = Pick<IndexEntry, 'path' | 'mode' | 'oid'> & { ctimeNs: bigint };
/** The checkpoint that the private index describes. */
export type Taken = z.infer<typeof takenSchema>;
export type Notes = Suspects & { taken: Taken };
/** Suspects, and the time at which their index was written. */
export type Suspects = { writtenNs: bigint; suspects: readonly Suspect[] };

/** Entries recorded in the very second in which the index file was written. */
export function suspectsOf(entries: readonly IndexEntry[], writtenNs: bigint): Suspect[] {
  const second = Number(writtenNs / SECOND_NS);
  const young = entries.filter(
    (entry) => entry.ctimeSec >= second && entry.stage === 0 && entry.mode !== GITLINK,
  );
  return young.map(({ path, mode, oid, ctimeSec, ctimeNsec }) => {
    const ctimeNs = BigInt(ctimeSec) * SECOND_NS + BigInt(ctimeNsec);
    return { path, mode, oid, ctimeNs };
  });
}

/** Suspects whose file is no longer, or not certainly, the one that was recorded. */
export async function changedSuspects(
  worktree: string,
  { suspects, writtenNs }: Suspects,
): Promise<Suspect[]> {
  const changed: Suspect[] = [];
  for (const entry of suspects) {
    const info = await lstat(absolute(worktree, entry.path), { bigint: true }).catch(() => null);
    const close = entry.ctimeNs + TICK_NS > writtenNs;
    if (info && (close || info.ctimeNs !== entry.ctimeNs)) changed.push(entry);
  }
  return changed;
}

/** Makes git read the files of these entries again, by forgetting the recorded stat data. */
export async function forgetStat(
  entries: readonly Pick<Suspect, 'path' | 'mode' | 'oid'>[],
  options: GitOptions,
): Promise<void> {
  if (entries.length === 0) return;
  const lines = entries.map((entry) => infoLine(entry.mode, entry.oid, 0, entry.path));
  await git(['update-index', '-z', '--index-info'], { ...options, stdin: Buffer.concat(lines) });
}

const notesFile = (dir: PrivateDir): string => join(dir.path, 'notes.json');

/** Notes for the next capture what the private index stands for, and its suspects. */
export async function writeNotes(dir: PrivateDir, index: string, taken: Taken): Promise<void> {
  const { mtimeNs } = await stat(index, { bigint: true });
  const second = Number(mtimeNs / SECOND_NS);
  const bytes = hashBytes(dir.objectFormat);
  const entries = await readIndexSince(await readFile(index), bytes, second);
  const suspects = suspectsOf(entries, mtimeNs).map((entry) => ({
    path: entry.path.toString('base64'),
    mode: entry.mode,
    oid: entry.oid,
    ctimeNs: String(entry.ctimeNs),
  }));
  await writeFile(notesFile(dir), JSON.stringify({ writtenNs: String(mtimeNs), taken, suspects }));
}

/** What {@link writeNotes} noted, or null when the notes do not belong to the private index. */
export async function readNotes(dir: PrivateDir): Promise<Notes | null> {
  const info = await stat(dir.index, { bigint: true }).catch(() => null);
  const text = await readFile(notesFile(dir), 'utf8').catch(() => 'null');
  const parsed = notesSchema.safeParse(parseJson(text));
  if (!info || !parsed.success || parsed.data.writtenNs !== String(info.mtimeNs)) return null;
  const suspects = parsed.data.suspects.map((suspect) => ({
    path: Buffer.from(suspect.path, 'base64'),
    mode: suspect.mode,
    oid: suspect.oid,
    ctimeNs: BigInt(suspect.ctimeNs),
  }));
  return { writtenNs: info.mtimeNs, suspects, taken: parsed.data.taken };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
