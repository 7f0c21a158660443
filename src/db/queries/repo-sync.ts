import { sql, type Transaction } from 'kysely';
import type { Db } from '../connect.ts';
import type { Database } from '../schema.ts';
import { type Failure, nextAttempt } from './repo-failures.ts';
import { noteFormerName } from './issue-keys.ts';
import type { RepoName } from './repos.ts';
import type { SyncProgress } from './sync-progress.ts';

/**
 * Who may sync a repository, and what came of it. A lease raises the repository's epoch and holds
 * for a time on the database's clock; whatever a holder writes counts only while its epoch is the
 * newest. So a holder that was paused, cut off or declared dead can do no harm when it comes back.
 */

export type SyncState = RepoName & {
  id: string;
  /** `due`: nobody syncs it, and what is stored is old. */
  state: 'fresh' | 'leased' | 'backing_off' | 'due';
  /** Whether its issues were ever stored as a whole, and when they were the last time. */
  synced: boolean;
  syncedAt: Date | null;
  /** Whether that is longer ago than a busy service needs to come round. */
  stale: boolean;
  /** Whether its last sync failed or was cut off: it must not keep the healthy ones waiting. */
  slow: boolean;
  /** Of the last sync, if it failed. */
  failureKind: string | null;
  failureText: string | null;
};

/** After so many windows of freshness, being late is worth a word. */
const STALE_WINDOWS = 3;

type Freshness = { freshnessSeconds: number };

const stateColumns = ({ freshnessSeconds }: Freshness) => sql`
  repos.id, repos.owner, repos.name, repos.synced_at IS NOT NULL AS synced,
  repos.synced_at AS "syncedAt",
  coalesce(repos.synced_at < now() - make_interval(
    secs => ${STALE_WINDOWS * freshnessSeconds}), false) AS stale,
  repos.failure_kind IS NOT NULL OR repos.pass_at IS NOT NULL AS slow,
  repos.failure_kind AS "failureKind", repos.failure_text AS "failureText",
  CASE
    WHEN repos.next_attempt_at > now() THEN 'backing_off'
    WHEN repos.failure_kind IS NULL
      AND repos.synced_at > now() - make_interval(secs => ${freshnessSeconds}) THEN 'fresh'
    WHEN repos.lease_until > now() THEN 'leased'
    ELSE 'due'
  END AS state`;

/** The agent's repositories by name, with what a heartbeat must know of each. */
export async function listAgentSyncStates(
  db: Db,
  agentId: string,
  freshness: Freshness,
): Promise<SyncState[]> {
  const { rows } = await sql<SyncState>`
    SELECT ${stateColumns(freshness)}
    FROM agent_repos JOIN repos ON repos.id = agent_repos.repo_id
    WHERE agent_repos.agent_id = ${agentId}
    ORDER BY repos.owner, repos.name`.execute(db);
  return rows;
}

export async function readSyncStates(
  db: Db,
  ids: string[],
  freshness: Freshness,
): Promise<SyncState[]> {
  const { rows } = await sql<SyncState>`
    SELECT ${stateColumns(freshness)} FROM repos WHERE id = any(${ids}::uuid[])
    ORDER BY repos.owner, repos.name`.execute(db);
  return rows;
}

export type SyncLease = RepoName & {
  repoId: string;
  holder: string;
  epoch: number;
  upstreamId: string | null;
  cursor: Date | null;
  /** When the lease began; the database's clock. */
  startedAt: Date;
  /** Whether every issue is to be listed, not only what changed. */
  full: boolean;
  /** Where an earlier try was cut off, which this one is to go on with. */
  progress: SyncProgress | null;
};

/** Takes the lease if the repository is due. Undefined: someone else has it, or it is fresh. */
export async function takeSyncLease(
  db: Db,
  options: Freshness & {
    id: string;
    holder: string;
    leaseSeconds: number;
    fullPassSeconds: number;
  },
): Promise<SyncLease | undefined> {
  const { rows } = await sql<SyncLease & { at: string | null; passCursor: Date; beganAt: Date }>`
    UPDATE repos SET
      -- The pages of a listing that was cut off long ago are no longer what they were.
      (pass_at, pass_full, pass_cursor, pass_began_at) = (
        SELECT pass_at, pass_full, pass_cursor, pass_began_at
        WHERE pass_began_at > now() - make_interval(secs => ${options.fullPassSeconds})),
      lease_holder = ${options.holder},
      lease_epoch = lease_epoch + 1,
      lease_until = now() + make_interval(secs => ${options.leaseSeconds})
    WHERE id = ${options.id}
      AND (lease_until IS NULL OR lease_until <= now())
      AND (next_attempt_at IS NULL OR next_attempt_at <= now())
      AND (synced_at IS NULL OR failure_kind IS NOT NULL
        OR synced_at <= now() - make_interval(secs => ${options.freshnessSeconds}))
    RETURNING id AS "repoId", owner, name, lease_holder AS holder, lease_epoch AS epoch,
      upstream_id AS "upstreamId", sync_cursor AS cursor, now() AS "startedAt",
      pass_at AS at, pass_cursor AS "passCursor", pass_began_at AS "beganAt",
      coalesce(pass_full, sync_cursor IS NULL OR last_full_sync_at IS NULL
        OR last_full_sync_at <= now() - make_interval(secs => ${options.fullPassSeconds}))
        AS full`.execute(db);
  const [row] = rows;
  if (!row) return undefined;
  const { at, passCursor, beganAt, ...lease } = row;
  return { ...lease, progress: at === null ? null : { at, cursor: passCursor, beganAt } };
}

/**
 * Prolongs the lease and locks the repository until the transaction ends, so that what else the
 * transaction writes is the holder's. False: the lease is lost, write nothing.
 */
export async function renewSyncLease(
  trx: Transaction<Database>,
  lease: SyncLease,
  leaseSeconds: number,
): Promise<boolean> {
  const result = await trx
    .updateTable('repos')
    .set({ lease_until: sql<Date>`now() + make_interval(secs => ${leaseSeconds})` })
    .where('id', '=', lease.repoId)
    .where('lease_epoch', '=', lease.epoch)
    .where('lease_holder', '=', lease.holder)
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

/** Gives up the lease without a result, so that the next heartbeat may try at once. */
export async function dropSyncLease(db: Db, lease: SyncLease): Promise<void> {
  await db
    .updateTable('repos')
    .set({ lease_holder: null, lease_until: null })
    .where('id', '=', lease.repoId)
    .where('lease_epoch', '=', lease.epoch)
    .where('lease_holder', '=', lease.holder)
    .execute();
}

/** Records a whole sync. The cursor never goes back. False: the lease was lost. */
export async function finishSync(db: Db, lease: SyncLease, cursor: Date | null): Promise<boolean> {
  const beganAt = lease.progress?.beganAt ?? lease.startedAt;
  const { rows } = await sql`
    WITH done AS (
      UPDATE repos SET
        sync_cursor = greatest(sync_cursor, ${cursor}::timestamptz),
        pass_started_at = ${beganAt},
        synced_at = now(),
        last_full_sync_at = CASE WHEN ${lease.full} THEN now() ELSE last_full_sync_at END,
        pass_at = NULL, pass_full = NULL, pass_cursor = NULL, pass_began_at = NULL,
        lease_holder = NULL, lease_until = NULL,
        failure_kind = NULL, failure_text = NULL, failure_count = 0,
        failed_at = NULL, next_attempt_at = NULL
      WHERE id = ${lease.repoId} AND lease_epoch = ${lease.epoch} AND lease_holder = ${lease.holder}
      RETURNING id
    ), pages AS (
      DELETE FROM sync_pages USING done WHERE sync_pages.repo_id = done.id
    )
    SELECT id FROM done`.execute(db);
  return rows.length === 1;
}

/** Records that a sync failed and when the next may be tried. False: the lease was lost. */
export async function failSync(db: Db, lease: SyncLease, failure: Failure): Promise<boolean> {
  const result = await db
    .updateTable('repos')
    .set({
      failure_kind: failure.kind,
      failure_text: failure.text,
      failed_at: sql<Date>`now()`,
      next_attempt_at: nextAttempt(failure, 'failure_count'),
      failure_count: sql<number>`failure_count + 1`,
      lease_holder: null,
      lease_until: null,
    })
    .where('id', '=', lease.repoId)
    .where('lease_epoch', '=', lease.epoch)
    .where('lease_holder', '=', lease.holder)
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

/**
 * Takes up the name under which upstream has the repository now, and its id there. False where
 * another tracked repository has the name already.
 */
export async function renameRepo(
  trx: Transaction<Database>,
  lease: SyncLease,
  to: RepoName & { upstreamId: string | null },
): Promise<boolean> {
  const { rows } = await sql`
    UPDATE repos SET
      owner = ${to.owner}, name = ${to.name},
      upstream_id = coalesce(${to.upstreamId}, upstream_id), updated_at = now()
    WHERE id = ${lease.repoId} AND NOT EXISTS (
      SELECT FROM repos AS other
      WHERE other.id <> repos.id AND other.forge = repos.forge
        AND lower(other.owner) = lower(${to.owner}) AND lower(other.name) = lower(${to.name}))
    RETURNING id`.execute(trx);
  if (rows.length === 0) return false;
  await noteFormerName(trx, lease.repoId, lease, to);
  return true;
}
