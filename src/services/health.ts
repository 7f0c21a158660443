import type { Db } from '../db/connect.ts';
import { pendingMigrations } from '../db/migrate.ts';
import { readWarnings } from './status/warnings.ts';

/** Each is `ok` or a few words on what is wrong. */
export type Readiness = {
  checks: {
    database: string;
    migrations: string;
    queue: string;
    process: string;
    /** Only of a process that has workers. */
    worker?: string;
  };
  /** What keeps work from going on although this process is well. */
  warnings: string[];
};

const TIMEOUT_MS = 2000;

/** Whether this process can do its work now. Never throws, and answers within about two seconds. */
export async function checkReadiness(options: {
  db: Db;
  pingQueue: () => Promise<void>;
  isDraining: () => boolean;
  /** Undefined: the process has no workers. */
  isWorking: (() => boolean) | undefined;
}): Promise<Readiness> {
  const { db, isWorking } = options;
  const [migrations, queue, warnings] = await Promise.all([
    within(pendingMigrations(db)),
    within(options.pingQueue()),
    within(readWarnings(db, { starts: isWorking !== undefined })),
  ]);
  return {
    checks: {
      database: migrations.ok ? 'ok' : 'does not answer, or was never migrated',
      migrations: migrationState(migrations),
      queue: queue.ok ? 'ok' : 'does not answer',
      process: options.isDraining() ? 'draining' : 'ok',
      ...(isWorking && { worker: isWorking() ? 'ok' : 'its workers have not looked for work' }),
    },
    warnings: warnings.ok ? warnings.value : [],
  };
}

function migrationState(pending: Outcome<string[]>): string {
  if (!pending.ok) return 'unknown';
  return pending.value.length === 0 ? 'ok' : `pending: ${pending.value.join(', ')}`;
}

type Outcome<T> = { ok: true; value: T } | { ok: false };

async function within<T>(promise: Promise<T>): Promise<Outcome<T>> {
  const late = Promise.withResolvers<Outcome<T>>();
  const timer = setTimeout(() => late.resolve({ ok: false }), TIMEOUT_MS);
  const settled = promise.then(
    (value): Outcome<T> => ({ ok: true, value }),
    (): Outcome<T> => ({ ok: false }),
  );
  return await Promise.race([settled, late.promise]).finally(() => clearTimeout(timer));
}
