import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort, startProcess, waitUntilReady } from '../servers/process.ts';
import { createHttpClient } from './http-client.ts';
import { expectAnswer, passOf } from './pass.ts';
import type { Contender } from './types.ts';

const SERVICE = fileURLToPath(new URL('./restate-service.ts', import.meta.url));
const READY_MS = 60_000;
const STOP_MS = 10_000;

/** One handler with one `ctx.run`, called through Restate's own HTTP ingress. */
export const restate: Contender = {
  name: 'restate',
  title: 'Restate, one handler with one ctx.run',
  access: 'HTTP',
  start: async ({ workDir, concurrency }) => {
    await using started = new AsyncDisposableStack();
    const server = await startServer(workDir);
    started.defer(server.stop);
    const service = await startService();
    started.defer(service.stop);
    await register(server.admin, service.port);
    const client = createHttpClient(server.ingress, concurrency);
    started.defer(client.close);
    const running = started.move();
    return {
      call: async (i) => {
        const { body } = await client.send('POST', '/passes/run', {}, passOf(i));
        return expectAnswer(body, i);
      },
      stop: () => running.disposeAsync(),
    };
  },
};

async function startServer(workDir: string) {
  const [node, admin, ingress] = [await freePort(), await freePort(), await freePort()];
  const args = ['--no-logo', '--listen-mode', 'tcp', '--bind-ip', '127.0.0.1'];
  args.push('--bind-port', String(node), '--node-name', 'bench', '--log-filter', 'warn');
  args.push('--base-dir', join(workDir, 'restate'));
  const env = {
    ...process.env,
    RESTATE_ADMIN__BIND_PORT: String(admin),
    RESTATE_INGRESS__BIND_PORT: String(ingress),
    // Of the default 24, 4 and 1, the fastest on few cores at either number of callers.
    RESTATE_DEFAULT_NUM_PARTITIONS: '1',
    RESTATE_DISABLE_TELEMETRY: 'true',
    DO_NOT_TRACK: '1',
  };
  const server = startProcess(binary(), args, { env });
  const stop = () => server.stop('SIGTERM', STOP_MS);
  const ready = async () =>
    (await fetch(`http://127.0.0.1:${admin}/health`)).ok &&
    (await fetch(`http://127.0.0.1:${ingress}/restate/health`)).ok;
  await waitUntilReady('Restate', server, ready, READY_MS).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  return { admin, ingress, stop };
}

/** The server's binary lies in a package per platform, beside the launcher's. */
function binary(): string {
  const launcher = createRequire(import.meta.url).resolve(
    '@restatedev/restate-server/package.json',
  );
  const name = `@restatedev/restate-server-${process.platform}-${process.arch}`;
  return createRequire(launcher).resolve(`${name}/bin/restate-server`);
}

async function startService() {
  const service = startProcess(process.execPath, [SERVICE]);
  const stop = () => service.stop('SIGTERM', STOP_MS);
  const ready = () => Promise.resolve(/^\d+\n/.test(service.output()));
  await waitUntilReady('The Restate service', service, ready, READY_MS);
  return { port: Number.parseInt(service.output(), 10), stop };
}

async function register(admin: number, service: number): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${admin}/deployments`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ uri: `http://127.0.0.1:${service}` }),
  });
  if (!response.ok) throw new Error(`Restate refused the service: ${await response.text()}`);
}
