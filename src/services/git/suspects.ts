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
import { absolute, inBatches } from './vet.ts';

/*
 * Git compares times in whole seconds (unless built with USE_NSEC). A file that was recorded, and then changed
 * within the same second to the same size, looks clean to it. Such a file changed in the second in which
 * it was recorded, which is any second since the look at the worktree began: all entries that young are
 * suspects. They are compared again here, in nanoseconds.
 */

const takenSchema = z.object({ commit: z.string(), tree: z.string(), filesChanged: z.number() });
const notesSchema = z.object({
  writtenNs: z.string(),
  sinceNs: z.string(),
  userKey: z.string(),
  missing: z.array(z.string()),
  taken: takenSchema,
  suspects: z.array(
    z.object({ path: z.string(), mode: z.number(), oid: z.string(), ctimeNs: z.string() }),
  ),
});

/** The kernel's clock for files ticks every few milliseconds; closer than this, nothing can be told. */
const TICK_NS = 20_000_000n;
/** Some file systems keep whole seconds, or every other one. */
const COARSE_NS = 2_000_000_000n;
const SECOND_NS = 1_000_000_000n;

export type Suspect = Pick<IndexEntry, 'path' | 'mode' | 'oid'> & { ctimeNs: bigint };
/** The checkpoint that the private index describes. */
export type Taken = z.infer<typeof takenSchema>;
/** Suspects, and the time from which on their index may have recorded them. */
export type Suspects = { sinceNs: bigint; suspects: readonly Suspect[] };
/** What is known of a private index. */
export type Known = Suspects & {
  /** The user's index that it was brought in line with. */
  userKey: string;
  /** Paths that were tracked and are gone from the worktree: they may come back where they are ignored. */
  missing: readonly Buffer[];
};
export type Notes = Known & { taken: Taken };

/** Entries whose file changed in a second in which, or after which, it may have been recorded. */
export function suspectsOf(entries: readonly IndexEntry[], sinceNs: bigint): Suspect[] {
  const second = firstSecond(sinceNs);
  const young = entries.filter(
    (entry) => entry.ctimeSec >= second && entry.stage === 0 && entry.mode !== GITLINK,
  );
  return young.map(({ path, mode, oid, ctimeSec, ctimeNsec }) => {
    const ctimeNs = BigInt(ctimeSec) * SECOND_NS + BigInt(ctimeNsec);
    return { path, mode, oid, ctimeNs };
  });
}

const firstSecond = (sinceNs: bigint): number => Number((sinceNs - COARSE_NS) / SECOND_NS);

/** The suspects of a private index that was written by a look that began at `sinceNs`. */
export async function suspectsIn(
  index: string,
  sinceNs: bigint,
  dir: PrivateDir,
): Promise<Suspect[]> {
  const buffer = await readFile(index).catch(() => null);
  if (!buffer) return [];
  const bytes = hashBytes(dir.objectFormat);
  return suspectsOf(await readIndexSince(buffer, bytes, firstSecond(sinceNs)), sinceNs);
}

/** Suspects whose file is no longer, or not certainly, the one that was recorded. */
export async function changedSuspects(
  worktree: string,
  { suspects, sinceNs }: Suspects,
): Promise<Suspect[]> {
  const infos = await inBatches(suspects, ({ path }) =>
    lstat(absolute(worktree, path), { bigint: true }).catch(() => null),
  );
  return suspects.filter(({ ctimeNs }, n) => {
    // A change within the same tick of the clock as the recorded one has the same time.
    const tick = ctimeNs % SECOND_NS === 0n ? COARSE_NS : TICK_NS;
    const info = infos[n];
    return info && (ctimeNs + tick > sinceNs || info.ctimeNs !== ctimeNs);
  });
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

export const notesFile = (dir: PrivateDir): string => join(dir.path, 'notes.json');

const base64 = (path: Buffer): string => path.toString('base64');

/** Notes for the next capture what the private index stands for. */
export async function writeNotes(dir: PrivateDir, index: string, notes: Notes): Promise<void> {
  const info = await stat(index, { bigint: true }).catch(() => null);
  const text = JSON.stringify({
    ...notes,
    writtenNs: String(info?.mtimeNs),
    sinceNs: String(notes.sinceNs),
    missing: notes.missing.map(base64),
    suspects: notes.suspects.map(({ path, mode, oid, ctimeNs }) => ({
      path: base64(path),
      mode,
      oid,
      ctimeNs: String(ctimeNs),
    })),
  });
  await writeFile(notesFile(dir), text);
}

/** What {@link writeNotes} noted, or null when the notes do not belong to the private index. */
export async function readNotes(dir: PrivateDir): Promise<(Notes & { writtenNs: bigint }) | null> {
  const info = await stat(dir.index, { bigint: true }).catch(() => null);
  const text = await readFile(notesFile(dir), 'utf8').catch(() => 'null');
  const parsed = notesSchema.safeParse(parseJson(text));
  if (!info || !parsed.success || parsed.data.writtenNs !== String(info.mtimeNs)) return null;
  const { sinceNs, userKey, missing, suspects, taken } = parsed.data;
  return {
    writtenNs: info.mtimeNs,
    sinceNs: BigInt(sinceNs),
    userKey,
    missing: missing.map((path) => Buffer.from(path, 'base64')),
    suspects: suspects.map(({ path, mode, oid, ctimeNs }) => ({
      path: Buffer.from(path, 'base64'),
      mode,
      oid,
      ctimeNs: BigInt(ctimeNs),
    })),
    taken,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
