import { z } from 'zod';

/** Why a session ended, read from what is known of its end. */
export const CAUSES = [
  'completed',
  'time_limit',
  'silent',
  'stalled',
  'crashed',
  'usage_limit',
  'overloaded',
  'auth',
  'context_full',
  'over_budget',
  'stopped',
  'cancelled',
  'never_started',
  'restore_refused',
] as const;

export const causeSchema = z.enum(CAUSES);
export type Cause = z.infer<typeof causeSchema>;
