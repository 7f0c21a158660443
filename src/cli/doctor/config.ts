import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { type Config, loadConfig } from '../../config.ts';
import { assertAnswers } from '../../db/answers.ts';
import { openDb, openPool } from '../../db/connect.ts';
import { pendingMigrations } from '../../db/migrate.ts';
import { openQueueBackend } from '../../jobs/backend.ts';
import { credentialsFile } from '../frame/service.ts';
import { type Finding, messageOf, ok, skipped, wrong } from './finding.ts';

const ignore = (): void => undefined;

/** What a service with this environment would meet: settings, files, database, Redis. */
export async function configChecks(): Promise<Finding[]> {
  let config: Config;
  try {
    config = loadConfig(process.env);
  } catch (error) {
    return [
      wrong('settings', messageOf(error), 'Fix the environment: .env.example lists all settings.'),
      skipped('database', 'needs the settings'),
      skipped('redis', 'needs the settings'),
    ];
  }
  return [
    ok('settings', 'no mistake in the environment'),
    ...(await credentialsCheck()),
    ...(await rootsCheck(config)),
    await databaseCheck(config),
    await redisCheck(config),
  ];
}

/** The operator token must be for its owner's eyes. */
async function credentialsCheck(): Promise<Finding[]> {
  const file = credentialsFile();
  const info = await stat(file).catch(() => undefined);
  if (!info) return [];
  if ((info.mode & 0o077) !== 0) {
    const mode = (info.mode & 0o777).toString(8);
    return [
      wrong('credentials', `${file} has mode ${mode}: others may read it`, `chmod 600 '${file}'`),
    ];
  }
  const readable = await access(file, constants.R_OK).then(
    () => true,
    () => false,
  );
  return [
    readable
      ? ok('credentials', `${file} is private`)
      : wrong(
          'credentials',
          `${file} cannot be read`,
          `Call defib as its owner (uid ${info.uid}).`,
        ),
  ];
}

/** Below them, workers capture worktrees and make new ones. */
async function rootsCheck({ checkpoints: { roots } }: Config): Promise<Finding[]> {
  if (roots.length === 0) {
    return [
      skipped('worktree roots', 'no DEFIB_WORKTREE_ROOTS: workers of this machine capture nothing'),
    ];
  }
  return Promise.all(roots.map(rootCheck));
}

async function rootCheck(root: string): Promise<Finding> {
  const check = `worktree root ${root}`;
  const info = await stat(root).catch(() => undefined);
  if (!info)
    return wrong(check, 'it is not there', `mkdir -p '${root}', or fix DEFIB_WORKTREE_ROOTS.`);
  if (!info.isDirectory()) return wrong(check, 'it is no folder', 'Fix DEFIB_WORKTREE_ROOTS.');
  const { R_OK, W_OK, X_OK } = constants;
  return access(root, R_OK | W_OK | X_OK).then(
    () => ok(check, 'can be read and written'),
    () =>
      wrong(
        check,
        `this account (uid ${process.getuid?.()}) may not read and write it`,
        `Give it to this account, run the workers as its owner (uid ${info.uid}), or fix DEFIB_WORKTREE_ROOTS.`,
      ),
  );
}

async function databaseCheck({ databaseUrl }: Config): Promise<Finding> {
  if (databaseUrl === undefined) {
    return skipped('database', 'no DATABASE_URL: "defib up" brings its own');
  }
  const pool = openPool({
    url: databaseUrl,
    max: 1,
    applicationName: 'defib-doctor',
    onError: ignore,
  });
  const db = openDb(pool);
  try {
    await assertAnswers(pool, databaseUrl);
    const pending = await pendingMigrations(db).catch(() => ['all']);
    return pending.length === 0
      ? ok('database', 'answers, and is up to date')
      : wrong(
          'database',
          `answers, but was not migrated (pending: ${pending.join(', ')})`,
          'Run "defib release" before web and worker start; "defib up" migrates by itself.',
        );
  } catch (error) {
    return wrong('database', messageOf(error), 'Start PostgreSQL there, or fix DATABASE_URL.');
  } finally {
    await db.destroy();
  }
}

/** Opens the queues as the service does, which refuses a Redis that would lose jobs. */
async function redisCheck({ redisUrl, databaseUrl, queuePrefix }: Config): Promise<Finding> {
  if (redisUrl === undefined || databaseUrl === undefined) {
    return skipped('redis', 'no REDIS_URL: queues are on PostgreSQL');
  }
  try {
    const backend = await openQueueBackend({
      databaseUrl,
      redisUrl,
      prefix: queuePrefix,
      workers: 0,
      onError: ignore,
    });
    await backend.close();
    return ok('redis', 'answers, with maxmemory-policy noeviction');
  } catch (error) {
    return wrong(
      'redis',
      messageOf(error),
      'Set maxmemory-policy to noeviction: redis-cli CONFIG SET maxmemory-policy noeviction, and in redis.conf. ' +
        'Where it does not answer, start it or fix REDIS_URL.',
    );
  }
}
