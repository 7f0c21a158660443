import { sql } from 'kysely';
import { backoffOf, type ResumeLimits } from './session-limits.ts';
import { HOST_GONE } from './worker-hosts.ts';

/*
 * What holds up the next attempt of a session in `ended`, whose agent is in `agents`: for the watch, which waits
 * for it, and for whoever asks what a session waits for.
 */

/** SQL: when the back-off is over. */
export const backOffEnd = (defaults: ResumeLimits) =>
  sql<Date>`(ended.ended_at + ${backoffOf(defaults)})`;

/** SQL: what is being saved is waited for: it is what the successor goes on from. */
export const isSaving = sql<boolean>`EXISTS (
  SELECT FROM runs
  WHERE runs.session_id = ended.id AND runs.kind = 'checkpoint' AND runs.finished_at IS NULL)`;

/** How long a worktree's host is waited for that had a worker a moment ago. */
const HOST_RETURN = sql`interval '60 seconds'`;

/** SQL: when the host of the worktree is waited for no longer. */
export const hostWaitEnd = sql<Date>`(ended.ended_at + ${HOST_RETURN})`;

/** SQL: a host that restarts comes back with the worktree; one that is gone for good does not. */
export const hostMayReturn = sql<boolean>`(
  ended.worktree IS NOT NULL AND ${hostWaitEnd} > now()
  AND EXISTS (
    SELECT FROM worker_hosts
    WHERE worker_hosts.host = ended.host AND seen_at < now() - ${HOST_GONE}))`;

/** SQL: one agent at a time: another may have taken up the issue meanwhile. */
export const issueIsTaken = sql<boolean>`EXISTS (
  SELECT FROM sessions AS other
  WHERE other.issue_key = ended.issue_key AND other.ended_at IS NULL)`;
