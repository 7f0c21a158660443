import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { CAPTURE_STAGES } from '../../src/services/git/capture-types.ts';
import { RESTORE_STAGES } from '../../src/services/git/restore/types.ts';
import { filesOf, standOf } from '../services/git/helpers.ts';
import { killAtStage, killAtWrite, type Write } from '../setup/kill-at.ts';
import {
  endAll,
  makeDirty,
  type Resumable,
  startResumable,
  type Started,
} from '../setup/resumable.ts';
import { backends } from '../setup/service.ts';
import { until } from '../setup/until.ts';
import { bundleOf, upload } from '../setup/upload.ts';

const SHORT = { claimSeconds: 2, renewMs: 500, sweepMs: 200 };
const ASYNC = { Prefer: 'respond-async' };
const SAID = { trigger: 'turn', reasoning: { done: ['my work'] } };

/** Where a worker dies: at a stage of git's work, or before a write. In the order of the work. */
type Point = string | Write;

const saved: Point[] = [
  'move:objects',
  'move:moved',
  { table: 'checkpoints', event: 'INSERT' },
  { table: 'bundle_chunks', event: 'INSERT' },
  { table: 'checkpoints', event: 'UPDATE', when: 'NEW.bundle_id IS NOT NULL' },
  { table: 'checkpoints', event: 'UPDATE', when: "NEW.durability = 'pushed'" },
];
const finished = (kind: string): Write => ({
  table: 'runs',
  event: 'UPDATE',
  when: `NEW.kind = '${kind}' AND NEW.finished_at IS NOT NULL`,
});
const checkpointPoints = [
  ...CAPTURE_STAGES.map((stage) => `capture:${stage}`),
  ...saved,
  finished('checkpoint'),
];
const uploadPoints: Point[] = [
  { table: 'bundles', event: 'UPDATE' },
  { table: 'checkpoints', event: 'INSERT' },
  { table: 'checkpoints', event: 'UPDATE', when: 'NEW.bundle_id IS NOT NULL' },
  { table: 'checkpoints', event: 'UPDATE', when: "NEW.durability = 'pushed'" },
  finished('checkpoint'),
];
const resumePoints: Point[] = [
  'capture:scanned',
  ...saved,
  ...RESTORE_STAGES.map((stage) => `restore:${stage}`),
  { table: 'sessions', event: 'UPDATE', when: 'OLD.restored IS NULL AND NEW.restored IS NOT NULL' },
  { table: 'sessions', event: 'UPDATE', when: 'OLD.ready_at IS NULL AND NEW.ready_at IS NOT NULL' },
  finished('resume'),
];

const everyThird = <T>(items: readonly T[]): T[] => items.filter((_, n) => n % 3 === 0);

describe.each(backends)(
  'workers killed one after another, on %s',
  { timeout: 300_000 },
  (backend) => {
    let flow: Resumable;
    beforeAll(async () => {
      const env = { DEFIB_CHECKPOINT_REMOTE: 'origin', DEFIB_DRAIN_SECONDS: '2' };
      flow = await startResumable(backend, env, { worker: false });
    });
    afterAll(() => flow.stop());
    afterEach(() => endAll(flow.db()));

    const killAt = (point: Point) =>
      typeof point === 'string' ? killAtStage(flow, point) : killAtWrite(flow, point);
    /** Each death at its point; more of them than are allowed one run. */
    async function killAtEach(points: readonly Point[]): Promise<void> {
      // What a death leaves in git and PostgreSQL is the same on both; here the queue forgets, or hands out again.
      for (const point of backend === 'redis' ? everyThird(points) : points) {
        await killAt(point);
        await sql`UPDATE runs SET deaths = 0 WHERE finished_at IS NULL`.execute(flow.db());
      }
    }
    async function withHeir<T>(use: () => Promise<T>): Promise<T> {
      const heir = await flow.worker('here', SHORT);
      try {
        return await use();
      } finally {
        await heir.stop();
      }
    }
    const pictureOf = (worktree: string) => ({
      files: filesOf(worktree),
      stand: standOf(worktree),
    });

    async function begun(name: string, body = {}) {
      const { worktree } = flow.clone(name);
      makeDirty(worktree);
      const session = await flow.start({ worktree, leaseSeconds: 3600, ...body });
      await session.post('heartbeat');
      return { worktree, before: pictureOf(worktree), session };
    }
    async function send({ worktree, session }: { worktree: string; session: Started }) {
      const { commit, bundle } = await bundleOf(worktree, session);
      const sent = await upload(flow, session, { meta: { ...SAID, commit }, bundle }, ASYNC);
      expect(sent.status).toBe(202);
      return commit;
    }
    /** From the bundle alone, by whoever starts the next agent here. */
    async function restoresHere(session: Started, before: ReturnType<typeof pictureOf>) {
      await flow.policy({ spawner: { type: 'command', command: ['true'] } });
      await flow.expire(session.id);
      const heir = await until('it is restored', async () => {
        const { attempts } = await flow.session(session.id);
        return attempts[1]?.worktree && attempts[1];
      });
      expect(pictureOf(heir.worktree)).toEqual(before);
      await flow.policy({});
      await sql`UPDATE sessions SET status = 'failed', ended_at = now()
      WHERE id = ${heir.id}`.execute(flow.db());
    }
    /** The next attempt has all of it. */
    async function restores(session: Started, before: ReturnType<typeof pictureOf>): Promise<void> {
      await flow.expire(session.id);
      const second = await flow.claim();
      expect(second.session.resumedFrom).toBe(session.id);
      expect(second.continuation).toContain('my work');
      expect(pictureOf(second.session.worktree)).toEqual(before);
      await second.post('finish', { outcome: 'failed' });
    }

    it('at every point of a checkpoint: it is made once, and restores', async () => {
      const { worktree, before, session } = await begun('json');
      expect((await session.post('checkpoints', SAID, ASYNC)).status).toBe(202);
      await killAtEach(checkpointPoints);
      expect(pictureOf(worktree)).toEqual(before);
      await withHeir(async () => {
        await flow.finished('checkpoint', session.id);
        expect(await flow.checkpoints(session.id)).toMatchObject([
          { number: 1, durability: 'pushed', warnings: [], ...SAID },
        ]);
        await restores(session, before);
      });
    });

    it('at every point of an upload: it is made once, and restores', async () => {
      const { before, ...one } = await begun('upload', { host: 'laptop' });
      const commit = await send(one);
      await killAtEach(uploadPoints);
      await withHeir(async () => {
        await flow.finished('checkpoint', one.session.id);
        expect(await flow.checkpoints(one.session.id)).toMatchObject([
          { number: 1, commit, durability: 'pushed', warnings: [], ...SAID },
        ]);
        await restoresHere(one.session, before);
      });
    });

    it('at every point of a resume: one successor has the work', async () => {
      const { worktree, before, session } = await begun('resume');
      await flow.expire(session.id);
      await killAtEach(resumePoints);
      expect(pictureOf(worktree)).toEqual(before);
      await withHeir(async () => {
        const second = await flow.claim();
        expect(second.session.resumedFrom).toBe(session.id);
        expect(pictureOf(second.session.worktree)).toEqual(before);
        expect((await flow.session(session.id)).attempts).toHaveLength(2);
        expect(await flow.checkpoints(session.id)).toMatchObject([
          { number: 1, durability: 'pushed', warnings: [] },
        ]);
        await second.post('finish', { outcome: 'failed' });
      });
    });

    it('three times at a checkpoint: what was said is recorded, and its files by the next one', async () => {
      const { before, session } = await begun('json-thrice');
      expect((await session.post('checkpoints', SAID, ASYNC)).status).toBe(202);
      for (let died = 0; died < 3; died += 1) await killAt('capture:scanned');
      await withHeir(async () => {
        expect(await flow.finished('checkpoint', session.id)).toMatchObject({ status: 'warning' });
        expect(await flow.checkpoints(session.id)).toMatchObject([{ ...SAID, commit: null }]);
        await restores(session, before);
      });
    });

    it('three times at an upload: what was said is recorded, and its files by another run', async () => {
      const { before, ...one } = await begun('upload-thrice', { host: 'laptop' });
      const { id } = one.session;
      const commit = await send(one);
      for (let died = 0; died < 3; died += 1) await killAt(uploadPoints[0]!);
      await withHeir(async () => {
        await until('both are recorded', async () => (await flow.checkpoints(id)).length === 2);
        const [first, second] = await flow.checkpoints(id);
        expect(first).toMatchObject({ ...SAID, commit: null });
        expect(second).toMatchObject({ commit });
        await restoresHere(one.session, before);
      });
    });
  },
);
