import {
  dropSyncLease,
  failSync,
  renewSyncLease,
  type SyncLease,
  takeSyncLease,
} from '../../db/queries/repo-sync.ts';
import { forgetProgress } from '../../db/queries/sync-progress.ts';
import { ForgeError, type ForgeErrorKind } from '../forge/error.ts';
import { LeaseLost, runPass } from './pass.ts';
import type { SyncDeps } from './settings.ts';

/**
 * Syncs one repository if it is due and nobody else does, and stores the outcome with it: that is
 * where every heartbeat finds it. What was read of a sync that was cut off is kept.
 *
 * @returns whether its time was over before its end was reached, though it got on
 */
export async function syncRepo(
  deps: SyncDeps,
  id: string,
  signal: AbortSignal,
  { slow = false } = {},
): Promise<boolean> {
  const lease = await takeSyncLease(deps.db, { id, holder: deps.instance, ...deps.settings });
  if (!lease) return false;
  const { passTimeoutMs, sliceMs } = deps.settings;
  const timeout = AbortSignal.timeout(slow ? passTimeoutMs : Math.min(sliceMs, passTimeoutMs));
  const tally = { pages: 0 };
  try {
    await runPass(deps, lease, tally, AbortSignal.any([signal, timeout]));
  } catch (error) {
    // The first page of a try that goes on is one that was read before.
    const gotOn = tally.pages > (lease.progress ? 1 : 0);
    if (error instanceof LeaseLost) {
      deps.log.info(where(lease), 'another process has taken over this sync');
    } else if (signal.aborted || (timeout.aborted && gotOn)) {
      await dropSyncLease(deps.db, lease);
      return !signal.aborted;
    } else {
      await store(deps, lease, timeout.aborted ? overdue(error) : error, gotOn);
    }
  }
  return false;
}

const where = (lease: SyncLease) => ({ repo: `${lease.owner}/${lease.name}` });

const overdue = (cause: unknown) =>
  new ForgeError(
    'timeout',
    'Its issues could not be read in time. It is tried again later; check how fast GitHub answers.',
    { cause },
  );

/** After these, the page where a listing was cut off is perhaps no page any more. */
const PAGE_IS_LOST = new Set<ForgeErrorKind>(['rejected', 'not_found', 'gone', 'misconfigured']);

async function store(
  deps: SyncDeps,
  lease: SyncLease,
  error: unknown,
  gotOn: boolean,
): Promise<void> {
  const { backoffSeconds, maxBackoffSeconds } = deps.settings;
  const known = error instanceof ForgeError;
  if (known) deps.log.warn({ ...where(lease), kind: error.kind }, error.message);
  else deps.log.error({ ...where(lease), err: error }, 'sync failed unexpectedly');
  if (known && !gotOn && lease.progress && PAGE_IS_LOST.has(error.kind)) {
    await deps.db.transaction().execute(async (trx) => {
      const ours = await renewSyncLease(trx, lease, deps.settings.leaseSeconds);
      if (ours) await forgetProgress(trx, lease.repoId);
    });
  }
  await failSync(deps.db, lease, {
    kind: known ? error.kind : 'internal',
    text: known
      ? error.message
      : "It failed unexpectedly and is tried again; if it stays, look in the server's log.",
    retryAfterSeconds: known ? error.retryAfterSeconds : undefined,
    backoffSeconds,
    maxBackoffSeconds,
  });
}
