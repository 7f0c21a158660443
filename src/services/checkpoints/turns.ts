import { findSession } from '../../db/queries/sessions.ts';
import type { Run } from '../../db/schema.ts';
import type { CheckpointDeps } from './deps.ts';

/** Does work under a key when all that was asked for before it under the same key is done. */
export type Turns = <T>(key: string, work: () => Promise<T>) => Promise<T>;

export function createTurns(): Turns {
  const last = new Map<string, Promise<unknown>>();
  return async (key, work) => {
    const mine = (last.get(key) ?? Promise.resolve()).then(work);
    const settled = mine.catch(() => undefined);
    last.set(key, settled);
    try {
      return await mine;
    } finally {
      if (last.get(key) === settled) last.delete(key);
    }
  };
}

/**
 * Runs of one chain of attempts work on the same worktrees and branches: in one process they come one
 * after another, in the order in which they were taken.
 */
export async function inTurn<T>(
  deps: CheckpointDeps,
  run: Run,
  work: () => Promise<T>,
): Promise<T> {
  const session = await findSession(deps.db, run.session_id ?? '');
  return await deps.turns(session?.root_id ?? run.id, work);
}
