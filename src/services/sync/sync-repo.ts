import {
  dropSyncLease,
  failSync,
  type SyncLease,
  takeSyncLease,
} from '../../db/queries/repo-sync.ts';
import { ForgeError } from '../forge/error.ts';
import { LeaseLost, runPass } from './pass.ts';
import type { SyncDeps } from './settings.ts';

/**
 * Syncs one repository if it is due and nobody else does, and stores the outcome with it: that is
 * where every heartbeat finds it. A sync that was cut off by `signal` leaves no trace.
 */
export async function syncRepo(deps: SyncDeps, id: string, signal: AbortSignal): Promise<void> {
  const lease = await takeSyncLease(deps.db, { id, holder: deps.instance, ...deps.settings });
  if (!lease) return;
  const timeout = AbortSignal.timeout(deps.settings.passTimeoutMs);
  try {
    await runPass(deps, lease, AbortSignal.any([signal, timeout]));
  } catch (error) {
    if (error instanceof LeaseLost) {
      deps.log.info(where(lease), 'another process has taken over this sync');
    } else if (signal.aborted) {
      await dropSyncLease(deps.db, lease);
    } else {
      const cause = timeout.aborted ? overdue(deps, error) : error;
      await store(deps, lease, cause);
    }
  }
}

const where = (lease: SyncLease) => ({ repo: `${lease.owner}/${lease.name}` });

const overdue = ({ settings }: SyncDeps, cause: unknown) =>
  new ForgeError(
    'timeout',
    `Not all issues could be read within ${settings.passTimeoutMs / 1000} s. It is tried again later; check how fast the forge answers.`,
    { cause },
  );

async function store(deps: SyncDeps, lease: SyncLease, error: unknown): Promise<void> {
  const { backoffSeconds, maxBackoffSeconds } = deps.settings;
  const known = error instanceof ForgeError;
  if (known) deps.log.warn({ ...where(lease), kind: error.kind }, error.message);
  else deps.log.error({ ...where(lease), err: error }, 'sync failed unexpectedly');
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
