import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '../../src/db/embedded.ts';
import { tether } from './tether.ts';

export type TestServer = { url: string; stop(): Promise<void> };

/** One PostgreSQL for the whole run: `TEST_DATABASE_URL`, or an embedded one that dies with the run. */
export async function startTestServer(): Promise<TestServer> {
  const given = process.env['TEST_DATABASE_URL'];
  if (given) return { url: given, stop: async () => undefined };

  const dataDir = await mkdtemp(join(tmpdir(), 'defib-test-'));
  // Run by root, the server has an account of its own, which must be able to pass.
  await chmod(dataDir, 0o711);
  const line = tether([join(dataDir, 'postgres', 'postmaster.pid')], dataDir);
  const server = await startEmbeddedPostgres({
    dataDir,
    log: (level, message, fields) => {
      if (level === 'warn') console.warn(message, fields ?? '');
    },
    settings: {
      fsync: 'off',
      synchronous_commit: 'off',
      full_page_writes: 'off',
      max_connections: '300',
    },
  });
  return {
    url: server.url,
    async stop() {
      await server.stop();
      await line.release();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
