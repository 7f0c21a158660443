import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ServerProcess } from './process.ts';
import { freePort, startProcess, waitUntilReady } from './process.ts';

export const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));
const READY_MS = 60_000;
/** Longer than Defib's own drain, so that it is never killed in the middle of it. */
const STOP_MS = 30_000;

export type DefibServer = { port: number; operatorToken: string; stop(): Promise<void> };

export type DefibOptions = {
  /** Worker processes beside the API; with 0, one process has everything in it. */
  workers: number;
  workDir: string;
  /** Variables over Defib's defaults, such as DATABASE_URL. */
  env: Record<string, string>;
};

/** Starts this checkout's Defib on a free port of the loopback. Resolves once /readyz says so. */
export async function startDefib({ workers, workDir, env }: DefibOptions): Promise<DefibServer> {
  await using started = new AsyncDisposableStack();
  const port = await freePort();
  const operatorToken = randomBytes(32).toString('base64url');
  const settings = {
    ...inherited(),
    PORT: String(port),
    DEFIB_DATA_DIR: join(workDir, 'defib'),
    DEFIB_OPERATOR_TOKEN: operatorToken,
    // The other contenders are silenced too.
    DEFIB_LOG_LEVEL: 'warn',
    ...env,
  };
  const start = (entry: string): ServerProcess => {
    const server = startProcess(process.execPath, [entry], { cwd: REPOSITORY, env: settings });
    started.defer(() => server.stop('SIGTERM', STOP_MS));
    return server;
  };
  if (workers > 0) await finish(start('src/release.ts'));
  for (let count = 0; count < workers; count += 1) start('src/worker.ts');
  const api = start(workers > 0 ? 'src/web.ts' : 'src/main.ts');
  const ready = async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok;
  await waitUntilReady('Defib', api, ready, READY_MS);
  const running = started.move();
  return { port, operatorToken, stop: () => running.disposeAsync() };
}

async function finish(release: ServerProcess): Promise<void> {
  const ended = () => Promise.resolve(release.exitCode() === 0);
  await waitUntilReady('Defib’s release', release, ended, READY_MS);
}

/** The caller's environment without what would configure a Defib of the caller's own. */
function inherited(): NodeJS.ProcessEnv {
  const own = /^(DEFIB_|GITHUB_|DATABASE_URL$|REDIS_URL$|PORT$|HOST$)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !own.test(name)));
}
