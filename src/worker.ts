import { loadConfig } from './config.ts';
import { requireDatabaseUrl } from './database-url.ts';
import { createLog } from './log.ts';
import { fail, runProcess } from './process.ts';
import { start } from './start.ts';

/** Workers alone. Any number of them. */
try {
  const config = loadConfig(process.env);
  const log = createLog({ level: config.logLevel, service: 'defib-worker' });
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
