import { readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startEmbeddedPostgres } from '../../src/db/embedded.ts';
import { migrate } from '../../src/db/migrate.ts';
import { filesOf, standOf } from '../services/git/helpers.ts';
import { holdWrites } from '../setup/hold-writes.ts';
import { canStartRedis, flushableRedis } from '../setup/redis.ts';
import {
  checkpointBranches,
  makeDirty,
  type Resumable,
  startResumable,
} from '../setup/resumable.ts';
import { tether } from '../setup/tether.ts';
import { until } from '../setup/until.ts';

const SHORT = { claimSeconds: 2, renewMs: 500, sweepMs: 200 };

/** Loses something while a resume has restored the work and not noted it. */
async function loseInResume(flow: Resumable, lose: () => Promise<unknown>): Promise<void> {
  const { worktree } = flow.clone('lost');
  makeDirty(worktree);
  const before = { files: filesOf(worktree), stand: standOf(worktree) };
  const session = await flow.start({ worktree });
  const hold = await holdWrites(flow.service.database.url, {
    table: 'sessions',
    event: 'UPDATE',
    when: 'OLD.restored IS NULL AND NEW.restored IS NOT NULL',
  });
  await flow.expire(session.id);
  await hold.holds();
  await lose();
  await hold.release();
  const second = await flow.claim();
  expect(filesOf(second.session.worktree)).toEqual(before.files);
  expect(standOf(second.session.worktree)).toEqual(before.stand);
  expect((await flow.session(session.id)).attempts).toHaveLength(2);
  expect(await flow.checkpoints(session.id)).toHaveLength(1);
  await second.post('finish', { outcome: 'completed' });
  // The watch, which a flush takes away too, must be back for this.
  await until('it is pruned', () => checkpointBranches(worktree).length === 0);
}

describe('a resume goes on', () => {
  it.skipIf(!canStartRedis())('when Redis loses everything', async () => {
    const redis = await flushableRedis();
    onTestFinished(() => redis.stop());
    const flow = await startResumable('redis', { REDIS_URL: redis.url }, { timings: SHORT });
    try {
      await loseInResume(flow, async () => {
        await redis.flush();
        await sql`UPDATE runs SET dispatched_at = now() - interval '1 min'
          WHERE status = 'queued'`.execute(flow.db());
      });
    } finally {
      await flow.stop();
    }
  });

  it('when PostgreSQL is killed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'defib-faults-'));
    await chmod(folder, 0o711);
    const pidFile = join(folder, 'postgres', 'postmaster.pid');
    const line = tether([pidFile], folder);
    const settings = { fsync: 'off' };
    const server = await startEmbeddedPostgres({ dataDir: folder, log: () => undefined, settings });
    try {
      await migrate(server.url, { queues: true });
      const database = { url: server.url, drop: () => Promise.resolve() };
      const flow = await startResumable('postgres', {}, { timings: SHORT, database });
      try {
        await loseInResume(flow, async () => {
          process.kill(Number.parseInt(readFileSync(pidFile, 'utf8'), 10), 'SIGKILL');
          const ready = () => flow.service.call('GET', '/readyz').then(({ status }) => status);
          await until('the database is away', async () => (await ready()) !== 200);
          await until('the database is back', async () => (await ready()) === 200);
        });
      } finally {
        await flow.stop();
      }
    } finally {
      await server.stop();
      await line.release();
      await rm(folder, { recursive: true, force: true });
    }
  });
});
