import { readdirSync, statSync } from 'node:fs';
import { readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { reasoningSchema } from '../../services/checkpoints/reasoning.ts';
import { replaceFile } from './places.ts';

/**
 * What the service has not acknowledged, in order, one file for each entry, and its bundle beside it:
 *
 *     00000007.json  00000007.bundle
 *
 * It is bounded. Beyond that the oldest entries go: a later bundle holds their files too, and later
 * reasoning replaces theirs.
 */
const MAX_ENTRIES = 50;
const MAX_BYTES = 512 * 1024 * 1024;

const checkpointSchema = z.object({
  kind: z.literal('checkpoint'),
  /** The Idempotency-Key: sent twice, it is one checkpoint. */
  key: z.string(),
  trigger: z.string(),
  turn: z.number(),
  reasoning: reasoningSchema.optional(),
  /** Absent: the files are as in the checkpoint before. */
  files: z
    .object({
      commit: z.string(),
      baseUrl: z.string().optional(),
      notCaptured: z.array(z.object({ path: z.string(), reason: z.string() })),
      warnings: z.array(z.string()),
    })
    .optional(),
});
const endSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('finish'),
    outcome: z.enum(['completed', 'failed', 'cancelled']),
    summary: z.string().optional(),
  }),
  z.object({
    kind: z.literal('interrupt'),
    reason: z.string(),
    goesOn: z.boolean().optional(),
  }),
]);
const entrySchema = z.discriminatedUnion('kind', [checkpointSchema, endSchema]);

export type CheckpointEntry = z.infer<typeof checkpointSchema>;
export type EndEntry = z.infer<typeof endSchema>;
export type Entry = z.infer<typeof entrySchema>;

export type Stored = {
  name: string;
  entry: Entry;
  /** Its bundle; undefined where it has none. */
  bundle: string | undefined;
};

export type Outbox = {
  /** Adds an entry; `bundle` is a file on the same file system, which is moved. */
  add(entry: Entry, bundle?: string): Promise<void>;
  /** The oldest one. What cannot be read is removed. */
  first(): Promise<Stored | undefined>;
  /** Puts another entry, without a bundle unless one is given, in the place of one. */
  replace(name: string, entry: Entry, bundle?: string): Promise<void>;
  remove(name: string): Promise<void>;
  size(): number;
};

export function createOutbox(folder: string): Outbox {
  const names = (): string[] => {
    const found = readdirSync(folder).flatMap((file) => /^(\d{8})\.json$/.exec(file)?.[1] ?? []);
    return found.sort();
  };
  const jsonOf = (name: string): string => join(folder, `${name}.json`);
  const bundleOf = (name: string): string => join(folder, `${name}.bundle`);

  const put = async (name: string, entry: Entry, bundle?: string): Promise<void> => {
    // The bundle first: an entry that is there is whole.
    if (bundle === undefined) await rm(bundleOf(name), { force: true });
    else if (bundle !== bundleOf(name)) await rename(bundle, bundleOf(name));
    await replaceFile(jsonOf(name), JSON.stringify(entry));
  };
  const remove = async (name: string): Promise<void> => {
    await rm(jsonOf(name), { force: true });
    await rm(bundleOf(name), { force: true });
  };
  const bytesOf = (name: string): number =>
    statSync(bundleOf(name), { throwIfNoEntry: false })?.size ?? 0;

  return {
    async add(entry, bundle) {
      const last = Number(names().at(-1) ?? 0);
      await put(String(last + 1).padStart(8, '0'), entry, bundle);
      const kept = names();
      let bytes = kept.reduce((sum, name) => sum + bytesOf(name), 0);
      while (kept.length > 1 && (kept.length > MAX_ENTRIES || bytes > MAX_BYTES)) {
        const oldest = kept.shift() ?? '';
        bytes -= bytesOf(oldest);
        await remove(oldest);
      }
    },
    async first() {
      for (const name of names()) {
        const entry = await readEntry(jsonOf(name));
        if (!entry) {
          await remove(name);
          continue;
        }
        const bundle = bytesOf(name) > 0 ? bundleOf(name) : undefined;
        return { name, entry, bundle };
      }
      return undefined;
    },
    replace: put,
    remove,
    size: () => names().length,
  };
}

async function readEntry(file: string): Promise<Entry | undefined> {
  try {
    return entrySchema.safeParse(JSON.parse(await readFile(file, 'utf8'))).data;
  } catch {
    return undefined;
  }
}
