import { z } from 'zod';

/**
 * Where finished work is: on a remote, in commits that no remote is known to have, not even committed, or nowhere,
 * as no files were saved.
 */
export const RESULT_STATES = ['landed', 'committed', 'uncommitted', 'none'] as const;

export const resultSchema = z.object({
  state: z.enum(RESULT_STATES),
  host: z.string().nullable(),
  worktree: z.string().nullable(),
  branch: z.string().nullable(),
  head: z.string().nullable(),
  filesChanged: z.number().int().nullable(),
  /** Until when it can be restored from what is stored; null: it is not kept, or no more. */
  keptUntil: z.iso.datetime().nullable(),
});
export type Result = z.infer<typeof resultSchema>;
