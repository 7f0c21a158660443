import { loadConfig } from './config.ts';
import { requireDatabaseUrl } from './database-url.ts';
import { openDb, openPool } from './db/connect.ts';
import { migrate } from './db/migrate.ts';
import { takeEnvironment } from './environment.ts';
import { fail, readEnvFile } from './process.ts';
import { ensureOperatorAccess } from './services/tokens/bootstrap.ts';

/** `npm run release`: migrates the database and sees to it that an operator can get in. */
try {
  readEnvFile();
  const config = loadConfig(takeEnvironment().env);
  const url = requireDatabaseUrl(config, 'release');
  const { applied } = await migrate(url, { queues: config.redisUrl === undefined });
  process.stdout.write(
    applied.length > 0 ? `Migrated: ${applied.join(', ')}\n` : 'The database is up to date.\n',
  );
  const db = openDb(
    openPool({ url, max: 1, applicationName: 'defib-release', onError: () => undefined }),
  );
  const access = await ensureOperatorAccess({
    db,
    dataDir: config.dataDir,
    operatorToken: config.operatorToken,
    ownDatabase: false,
  });
  if (access.from === 'created') {
    process.stdout.write(`Operator token: ${access.token}\n  (kept in ${access.path})\n`);
  }
  await db.destroy();
} catch (error) {
  fail(error);
}
