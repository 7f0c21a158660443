import { requireDatabaseUrl } from './database-url.ts';
import { fail, openEntry, runProcess } from './process.ts';
import { start } from './start.ts';

/** Workers alone. Any number of them. */
try {
  const { config, log } = openEntry('defib-worker');
  const databaseUrl = requireDatabaseUrl(config, 'worker');
  await runProcess({
    log,
    drainMs: config.drainMs,
    start: async () => {
      const started = await start({ config, log, databaseUrl, web: false, worker: true });
      log.info({ concurrency: config.workerConcurrency }, 'working');
      return started;
    },
  });
} catch (error) {
  fail(error);
}
