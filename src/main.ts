import type { Config } from './config.ts';
import { startEmbeddedPostgres } from './db/embedded.ts';
import { migrate } from './db/migrate.ts';
import type { Log } from './log.ts';
import { fail, openEntry, runProcess, type Running } from './process.ts';
import { ensureFirstAgent } from './services/agents/first.ts';
import { ensureOperatorAccess } from './services/tokens/bootstrap.ts';
import { noteService } from './service-file.ts';
import { start } from './start.ts';
import { welcome } from './welcome.ts';

/** `npm start`: API and workers in one process, on an embedded PostgreSQL unless one is given. */
try {
  const { config, log } = openEntry('defib');
  await runProcess({ log, drainMs: config.drainMs, start: () => startAll(config, log) });
} catch (error) {
  fail(error);
}

async function startAll(config: Config, log: Log): Promise<Running> {
  const embedded =
    config.databaseUrl === undefined
      ? await startEmbeddedPostgres({
          dataDir: config.dataDir,
          log: (level, message, fields = {}) => log[level](fields, message),
        })
      : undefined;
  try {
    const databaseUrl = embedded?.url ?? config.databaseUrl ?? '';
    await migrate(databaseUrl, { queues: config.redisUrl === undefined });
    const started = await start({ config, log, databaseUrl, web: true, worker: true });
    const access = await ensureOperatorAccess({
      db: started.deps.db,
      dataDir: config.dataDir,
      operatorToken: config.operatorToken,
      ownDatabase: embedded !== undefined,
    });
    const agentName = await ensureFirstAgent(started.deps.db);
    const url = config.publicUrl ?? started.http?.url ?? '';
    const leave = await noteService(config.dataDir, started.http?.url ?? url);
    process.stdout.write(welcome({ url, access, agentName, dataDir: config.dataDir }));
    return {
      stop: async () => {
        await leave();
        await started.stop().finally(() => embedded?.stop());
      },
    };
  } catch (error) {
    await embedded?.stop();
    throw error;
  }
}
