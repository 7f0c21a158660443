import { z } from 'zod';

/**
 * What the worktree of an attempt is to that of the attempt before: the very same, a `git worktree` of the same
 * repository, or a clone.
 */
export const placeSchema = z.enum(['same', 'worktree', 'clone']);

export type Place = z.infer<typeof placeSchema>;
