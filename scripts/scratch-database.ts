import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '../src/db/embedded.ts';
import { migrate } from '../src/db/migrate.ts';

/** Gives `use` a migrated database on a PostgreSQL that is gone afterwards. */
export async function withScratchDatabase<T>(
  options: { queues: boolean },
  use: (url: string) => Promise<T>,
): Promise<T> {
  const dataDir = await mkdtemp(join(tmpdir(), 'defib-scratch-'));
  // As root, PostgreSQL runs as another user, who must be able to reach its data.
  await chmod(dataDir, 0o755);
  const server = await startEmbeddedPostgres({
    dataDir,
    log: () => undefined,
    settings: { fsync: 'off' },
  });
  try {
    await migrate(server.url, options);
    return await use(server.url);
  } finally {
    await server.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}
