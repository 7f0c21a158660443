import { runMigrations as runBullMigrations } from 'bullmq';
import { sql } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';
import { Pool } from 'pg';
import { type Db, openDb } from './connect.ts';
import * as agentsTokensRuns from './migrations/0001_agents_tokens_runs.ts';
import * as repositoriesAndIssues from './migrations/0002_repositories_and_issues.ts';
import * as sessions from './migrations/0003_sessions.ts';

/**
 * Every migration, in order. Only ever append: a released one is never changed. There is no way
 * down: a mistake is mended by the next migration.
 */
const migrations: Record<string, Migration> = {
  '0001_agents_tokens_runs': agentsTokensRuns,
  '0002_repositories_and_issues': repositoriesAndIssues,
  '0003_sessions': sessions,
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
 * them through one by one, and whoever comes later finds nothing to do.
 */
export async function migrate(url: string, options: { queues: boolean }): Promise<MigrateResult> {
  const pool = new Pool({ connectionString: url, max: 2, connectionTimeoutMillis: 10_000 });
  const db = openDb(pool);
  const holder = await pool.connect();
  try {
    await holder.query('SELECT pg_advisory_lock($1)', [LOCK_KEY]);
    const { error, results } = await migrator(db).migrateToLatest();
    if (error)
      throw error instanceof Error ? error : new Error('migration failed', { cause: error });
    if (options.queues) await runBullMigrations(holder, QUEUE_SCHEMA);
    return { applied: (results ?? []).map((result) => result.migrationName) };
  } finally {
    // Ending the connection frees the lock, whatever state the connection is in.
    holder.release(true);
    await db.destroy();
  }
}

/** Names of migrations that this version has and the database lacks. */
export async function pendingMigrations(db: Db): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`SELECT name FROM kysely_migration`.execute(db);
  const applied = new Set(rows.map((row) => row.name));
  return Object.keys(migrations).filter((name) => !applied.has(name));
}
