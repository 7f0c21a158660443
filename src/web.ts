import { requireDatabaseUrl } from './database-url.ts';
import { fail, openEntry, runProcess } from './process.ts';
import { start } from './start.ts';

/** The API alone. Any number of them; `npm run release` has migrated the database before. */
try {
  const { config, log } = openEntry('defib-web');
  const databaseUrl = requireDatabaseUrl(config, 'web');
  await runProcess({
    log,
    drainMs: config.drainMs,
    start: async () => {
      const started = await start({ config, log, databaseUrl, web: true, worker: false });
      log.info({ url: started.http?.url }, 'listening');
      return started;
    },
  });
} catch (error) {
  fail(error);
}
