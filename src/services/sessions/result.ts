import type { Result } from '../../contract/result.ts';
import type { ResultWork } from '../../db/queries/session-results.ts';

/** Where the result of completed work is, by its last checkpoint with files. What is not known has not landed. */
export function stateOf(work: ResultWork): Result['state'] {
  if (work.checkpointId === null) return 'none';
  if (work.landed) return 'landed';
  if (work.filesChanged !== 0 || work.operation !== null) return 'uncommitted';
  return work.onRemote ? 'landed' : 'committed';
}

/** Whether it is nowhere else than with us. */
export const isOpen = (work: ResultWork): boolean =>
  ['committed', 'uncommitted'].includes(stateOf(work));

export const toResult = (work: ResultWork): Result => ({
  state: stateOf(work),
  host: work.host,
  worktree: work.worktree,
  branch: work.branch,
  head: work.head,
  filesChanged: work.filesChanged,
  keptUntil: isOpen(work) ? (work.until?.toISOString() ?? null) : null,
});
