import { runMigrations as runBullMigrations } from 'bullmq';
import { sql } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';
import { AppError } from '../errors.ts';
import type { PoolClient } from 'pg';
import { assertAnswers } from './answers.ts';
import { type Db, openDb, openPool } from './connect.ts';
import * as agentsTokensRuns from './migrations/0001_agents_tokens_runs.ts';
import * as repositoriesAndIssues from './migrations/0002_repositories_and_issues.ts';
import * as sessions from './migrations/0003_sessions.ts';
import * as checkpoints from './migrations/0004_checkpoints.ts';
import * as runDeaths from './migrations/0005_run_deaths.ts';
import * as issueKeys from './migrations/0006_issue_keys.ts';
import * as waitingRuns from './migrations/0007_waiting_runs.ts';
import * as rareRows from './migrations/0008_rare_rows.ts';
import * as labelQueue from './migrations/0009_label_queue.ts';
import * as syncProgress from './migrations/0010_sync_progress.ts';
import * as audit from './migrations/0011_audit.ts';
import * as worktreeOwners from './migrations/0012_worktree_owners.ts';
import * as watchAt from './migrations/0013_watch_at.ts';
import * as reservedSuccessors from './migrations/0014_reserved_successors.ts';
import * as verbs from './migrations/0015_verbs.ts';
import * as results from './migrations/0016_results.ts';
import * as worktreeKind from './migrations/0017_worktree_kind.ts';
import * as landedResults from './migrations/0018_landed_results.ts';
import * as watchPasses from './migrations/0019_watch_passes.ts';
import * as takeover from './migrations/0020_takeover.ts';

/**
 * Every migration, in order. Only ever append: a released one is never changed. There is no way
 * down: a mistake is fixed by the next migration.
 */
const migrations: Record<string, Migration> = {
  '0001_agents_tokens_runs': agentsTokensRuns,
  '0002_repositories_and_issues': repositoriesAndIssues,
  '0003_sessions': sessions,
  '0004_checkpoints': checkpoints,
  '0005_run_deaths': runDeaths,
  '0006_issue_keys': issueKeys,
  '0007_waiting_runs': waitingRuns,
  '0008_rare_rows': rareRows,
  '0009_label_queue': labelQueue,
  '0010_sync_progress': syncProgress,
  '0011_audit': audit,
  '0012_worktree_owners': worktreeOwners,
  '0013_watch_at': watchAt,
  '0014_reserved_successors': reservedSuccessors,
  '0015_verbs': verbs,
  '0016_results': results,
  '0017_worktree_kind': worktreeKind,
  '0018_landed_results': landedResults,
  '0019_watch_passes': watchPasses,
  '0020_takeover': takeover,
};

/** The PostgreSQL schema that BullMQ keeps its queues in, apart from our own tables. */
export const QUEUE_SCHEMA = 'bullmq';

// Any constant will do, as long as every version of Defib uses the same one.
const LOCK_KEY = 4700_2026;

function migrator(db: Db): Migrator {
  return new Migrator({ db, provider: { getMigrations: () => Promise.resolve(migrations) } });
}

export type MigrateResult = { applied: string[] };

/**
 * Brings the database to the newest schema; BullMQ's tables too when `queues` is asked for. Safe
 * to call from any number of processes at once: one advisory lock, held by this connection, lets
 * them through one by one, and whoever comes later finds nothing to do. What fails leaves nothing
 * behind: all migrations are one transaction.
 *
 * @throws AppError `conflict` where a newer version has migrated the database
 */
export async function migrate(url: string, options: { queues: boolean }): Promise<MigrateResult> {
  const pool = openPool({ url, max: 2, applicationName: 'defib-migrate', onError: ignore });
  const db = openDb(pool);
  let holder: PoolClient | undefined;
  try {
    await assertAnswers(pool, url);
    holder = await pool.connect();
    await holder.query('SELECT pg_advisory_lock($1)', [LOCK_KEY]);
    await refuseNewer(db);
    const { error, results } = await migrator(db).migrateToLatest();
    if (error)
      throw error instanceof Error ? error : new Error('migration failed', { cause: error });
    if (options.queues) await runBullMigrations(holder, QUEUE_SCHEMA);
    return { applied: (results ?? []).map((result) => result.migrationName) };
  } finally {
    // Ending the connection frees the lock, whatever state the connection is in.
    holder?.release(true);
    await db.destroy();
  }
}

/** Names of migrations that this version has and the database lacks. */
export async function pendingMigrations(db: Db): Promise<string[]> {
  const applied = new Set(await appliedMigrations(db));
  return Object.keys(migrations).filter((name) => !applied.has(name));
}

async function appliedMigrations(db: Db): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`SELECT name FROM kysely_migration`.execute(db);
  return rows.map((row) => row.name);
}

async function refuseNewer(db: Db): Promise<void> {
  const { rows } = await sql<{ found: string | null }>`
    SELECT to_regclass('kysely_migration') AS found`.execute(db);
  if (!rows[0]?.found) return;
  const unknown = (await appliedMigrations(db)).filter((name) => !(name in migrations));
  if (unknown.length === 0) return;
  throw new AppError(
    'conflict',
    `The database was migrated by a newer version of Defib (${unknown.join(', ')} unknown to this ` +
      'one). Nothing was changed. Start that version or a later one, or use another database.',
  );
}
/** What breaks while idle shows in the query that comes next. */
const ignore = (): void => undefined;
