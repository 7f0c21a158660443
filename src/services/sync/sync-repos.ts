import { setTimeout as delay } from 'node:timers/promises';
import { readSyncStates, type SyncState } from '../../db/queries/repo-sync.ts';
import { abortable } from '../forge/abortable.ts';
import type { SyncDeps } from './settings.ts';
import { syncRepo } from './sync-repo.ts';
import { syncWarnings } from './warnings.ts';

export type SyncReport = {
  warnings: string[];
  /** How many of the repositories are up to date now. */
  synced: number;
};

export type SyncOptions = {
  signal: AbortSignal;
  /** Called when nothing is left to do but to wait for a sync. */
  onWait?: () => void;
};

/**
 * Brings the issues of these repositories up to date, as far as that can be done in `waitMs`.
 * Requests to the forge follow repositories and time, not callers: a repository is synced once per
 * freshness window, and its outcome, good or bad, is every caller's.
 *
 * @param repos as read from the database a moment ago
 * @throws the reason of `signal`; failures of the forge are warnings
 */
export async function syncRepos(
  deps: SyncDeps,
  repos: SyncState[],
  options: SyncOptions,
): Promise<SyncReport> {
  const after = await settle(deps, repos, options);
  return {
    warnings: syncWarnings(after, { anonymous: !deps.forge.canWrite }),
    synced: after.filter(({ state }) => state === 'fresh').length,
  };
}

async function settle(
  deps: SyncDeps,
  repos: SyncState[],
  { signal, onWait }: SyncOptions,
): Promise<SyncState[]> {
  const { settings } = deps;
  const ours = repos.filter(({ id, state }) => state === 'due' || deps.flights.has(id));
  if (ours.length === 0 && !repos.some(isFirstElsewhere)) return repos;
  onWait?.();
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(settings.waitMs)]);
  const ids = repos.map((repo) => repo.id);
  const flights = ours.map(({ id, slow }) =>
    deps.flights.join(id, (closing, lane) => syncRepo(deps, id, closing, lane), { slow }),
  );
  await untilAborted(abortable(Promise.all(flights), deadline), deadline);
  for (;;) {
    signal.throwIfAborted();
    const states = await readSyncStates(deps.db, ids, settings);
    if (deadline.aborted || !states.some(isFirstElsewhere)) return states;
    await untilAborted(delay(settings.pollMs, undefined, { signal: deadline }), deadline);
  }
}

/** Nothing is stored yet, and another process is about to change that. */
const isFirstElsewhere = (repo: SyncState) => !repo.synced && repo.state === 'leased';

/** Waits for `work`, but no longer than `signal` allows. */
async function untilAborted(work: Promise<unknown>, signal: AbortSignal): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
