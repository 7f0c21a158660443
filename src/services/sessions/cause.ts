import type { Cause } from '../../contract/cause.ts';
import type { Session } from '../../db/schema.ts';

/** The end reason of a session that somebody else than its own process cancelled. */
export const CANCELLED_FROM_OUTSIDE = 'cancelled_from_outside';

/** Reasons that the service and its supervisor give; agents and people may give any other. */
const BY_REASON: Record<string, Cause> = {
  deadline_passed: 'time_limit',
  lease_expired: 'silent',
  never_started: 'never_started',
  spawn_failed: 'never_started',
  restore_refused: 'restore_refused',
};

/** What a supervisor says of a command that ended by itself. */
const CRASHED = /^its command (?:ended with code|was ended by) /;

/** Why a session ended; null: it has not. */
export function causeOf({
  status,
  end_reason: reason,
}: Pick<Session, 'status' | 'end_reason'>): Cause | null {
  switch (status) {
    case 'pending':
    case 'starting':
    case 'running':
      return null;
    case 'completed':
    case 'cancelled':
      return status;
    case 'failed':
      return BY_REASON[reason ?? ''] ?? 'crashed';
    case 'timed_out':
      return BY_REASON[reason ?? ''] ?? 'silent';
    case 'interrupted':
      return BY_REASON[reason ?? ''] ?? (CRASHED.test(reason ?? '') ? 'crashed' : 'stopped');
  }
}
