import { z } from 'zod';

/** A path inside a worktree: no way out of it, and nothing of git's own. */
const inside = z
  .string()
  .min(1)
  .max(4096)
  .refine(
    (path) =>
      !path.includes('\0') &&
      path.split('/').every((part) => !['', '.', '..', '.git'].includes(part.toLowerCase())),
    'must be a path inside the worktree, without "." and ".."',
  );

/** What a new worktree needs before an agent can work in it: what git does not keep. */
export const setupSchema = z.strictObject({
  /** Files that are copied from the worktree of the attempt before, where that is on the same machine. */
  copy: z.array(inside).max(100).optional(),
  /** Commands for `sh`, one after another. */
  run: z
    .array(
      z
        .string()
        .min(1)
        .max(4096)
        .refine((text) => !text.includes('\0'), 'must hold no NUL'),
    )
    .max(20)
    .optional(),
  /** For all commands together. Default: 600. */
  timeoutSeconds: z.number().int().min(1).max(3600).optional(),
});

export type Setup = z.infer<typeof setupSchema>;
