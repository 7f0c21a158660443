import type { Config } from './config.ts';
import { startEmbeddedPostgres } from './db/embedded.ts';
import { migrate } from './db/migrate.ts';
import type { Log } from './log.ts';
import { fail, openEntry, runProcess, type Running } from './process.ts';
import { ensureFirstAgent } from './services/agents/first.ts';
import { ensureOperatorAccess, type OperatorAccess } from './services/tokens/bootstrap.ts';
import { noteService } from './service-file.ts';
import { start, type Started } from './start.ts';
import { welcome } from './welcome.ts';

/** `npm start`: API and workers in one process, on an embedded PostgreSQL unless one is given. */
try {
  const { config, log } = openEntry('defib');
  await runProcess({ log, drainMs: config.drainMs, start: () => startAll(config, log) });
} catch (error) {
  fail(error);
}

/** In the background, what is printed goes to a file: there the token is not shown, only where it is kept. */
function withoutToken(access: OperatorAccess): OperatorAccess {
  const hidden = process.env['DEFIB_HIDE_TOKEN'] === 'true' && access.from === 'created';
  return hidden ? { from: 'file', path: access.path } : access;
}

async function startAll(config: Config, log: Log): Promise<Running> {
  const embedded =
    config.databaseUrl === undefined
      ? await startEmbeddedPostgres({
          dataDir: config.dataDir,
          log: (level, message, fields = {}) => log[level](fields, message),
        })
      : undefined;
  let started: Started | undefined;
  const stop = async () => {
    await (started?.stop() ?? Promise.resolve()).finally(() => embedded?.stop());
  };
  try {
    const databaseUrl = embedded?.url ?? config.databaseUrl ?? '';
    await migrate(databaseUrl, { queues: config.redisUrl === undefined });
    started = await start({ config, log, databaseUrl, web: true, worker: true });
    const leave = await announce(config, started, embedded !== undefined);
    return {
      stop: async () => {
        await leave();
        await stop();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Tells people and commands where it is and how to get in. Answers with how to take that back. */
async function announce(
  config: Config,
  { deps, http }: Started,
  ownDatabase: boolean,
): Promise<() => Promise<void>> {
  const { dataDir, operatorToken } = config;
  const access = await ensureOperatorAccess({ db: deps.db, dataDir, operatorToken, ownDatabase });
  const agentName = await ensureFirstAgent(deps.db);
  const url = config.publicUrl ?? http?.url ?? '';
  const leave = await noteService(dataDir, http?.url ?? url);
  process.stdout.write(welcome({ url, access: withoutToken(access), agentName, dataDir }));
  return leave;
}
