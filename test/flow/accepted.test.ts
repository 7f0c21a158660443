import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { insertBundle } from '../../src/db/queries/bundles.ts';
import { newId } from '../../src/services/ids.ts';
import { watchSessions } from '../../src/services/sessions/watch.ts';
import { put, userGit } from '../services/git/helpers.ts';
import { makeDirty, type Resumable, startResumable, type Started } from '../setup/resumable.ts';
import { until } from '../setup/until.ts';
import { bundleOf, upload } from '../setup/upload.ts';

const ASYNC = { Prefer: 'respond-async' };
const reasoning = { done: ['my work'] };
const SAID = { trigger: 'turn', reasoning };

describe('a checkpoint that was accepted', () => {
  let flow: Resumable;
  beforeAll(async () => {
    flow = await startResumable(
      'postgres',
      { DEFIB_CHECKPOINT_REMOTE: 'none', DEFIB_KEEP_RESULT_DAYS: '0' },
      { worker: false },
    );
  });
  afterAll(() => flow.stop());

  const watch = async () => {
    const { db, log, queues, sessionSettings: settings } = flow.service.started.deps;
    const { runs } = await watchSessions({ db, log, settings, batch: 50 });
    await Promise.all(runs.map((run) => queues.enqueueRun(run, null)));
  };
  async function withWorker<T>(use: () => Promise<T>): Promise<T> {
    const worker = await flow.worker('here');
    try {
      return await use();
    } finally {
      await worker.stop();
    }
  }
  const bundlesOf = async (id: string) =>
    (await flow.db().selectFrom('bundles').select('id').where('session_id', '=', id).execute())
      .length;

  it('is gone on from with a word on what came after it and cannot be saved', async () => {
    const { worktree } = flow.clone('left-out');
    makeDirty(worktree);
    const session = await flow.start({ worktree });
    await withWorker(async () => {
      expect((await session.post('checkpoints', SAID)).status).toBe(201);
      execFileSync('mkfifo', [join(worktree, 'late-pipe')]);
      await flow.expire(session.id);
      const heir = await flow.claim();
      expect(heir.continuation).toContain('late-pipe');
      await heir.post('finish', { outcome: 'failed' });
    });
  });

  it('is gone on from with a word on what is ignored since', async () => {
    const { worktree } = flow.clone('ignored-later');
    put(worktree, '.gitignore', 'late.log\n');
    const session = await flow.start({ worktree });
    await withWorker(async () => {
      expect((await session.post('checkpoints', SAID)).status).toBe(201);
      put(worktree, 'late.log', 'a log\n');
      await flow.expire(session.id);
      const heir = await flow.claim();
      expect(heir.continuation).toContain('late.log');
      await heir.post('finish', { outcome: 'failed' });
    });
  });

  it('of a partial clone whose remote is gone is resumed, and says that it cannot show its changes', async () => {
    const { remote } = flow.clone('whole');
    const worktree = join(flow.root, 'work', 'partial');
    userGit(remote, ['config', 'uploadpack.allowFilter', 'true']);
    const how = ['--filter=blob:none', '--no-checkout'];
    userGit(flow.root, ['clone', '--quiet', ...how, `file://${remote}`, worktree]);
    rmSync(remote, { recursive: true });
    put(worktree, 'new.txt', 'work\n');
    const session = await flow.start({ worktree });
    await withWorker(async () => {
      const { status, body } = await session.post('checkpoints', SAID);
      expect(status, JSON.stringify(body)).toBe(201);
      expect(body.warnings).toContainEqual(expect.stringContaining('cannot be shown'));
      await flow.expire(session.id);
      const heir = await flow.claim();
      expect(readFileSync(join(heir.session.worktree, 'new.txt'), 'utf8')).toBe('work\n');
      await heir.post('finish', { outcome: 'failed' });
    });
  });

  describe('as an upload, and then its session finished', () => {
    async function begun(name: string) {
      const { worktree } = flow.clone(name);
      makeDirty(worktree);
      const session = await flow.start({ worktree, host: 'laptop' });
      const send = async (headers = {}, number = 1) => {
        const { commit, bundle } = await bundleOf(worktree, session, { number });
        const meta = { ...SAID, commit };
        return { commit, answer: await upload(flow, session, { meta, bundle }, headers) };
      };
      expect((await withWorker(send)).answer.status).toBe(201);
      put(worktree, 'later.txt', 'later\n');
      return { session, send };
    }
    async function isKept(session: Started, commit: string): Promise<void> {
      await withWorker(async () => {
        const runs = await until('it is recorded', async () => {
          const all = await flow.runs('checkpoint', session.id);
          return all.length === 2 && all.every(({ finishedAt }) => finishedAt) ? all : undefined;
        });
        expect(runs).toMatchObject([{ status: 'ok' }, { status: 'ok' }]);
        const all = await flow.checkpoints(session.id);
        expect(all[1]).toMatchObject({ number: 2, commit, reasoning, warnings: [] });
        for (const { status } of await flow.runs('checkpoint', session.id))
          expect(status).toBe('ok');
        await until('all is pruned, and said so', async () => {
          const saved = await flow.checkpoints(session.id);
          return saved.every(({ prunedAt }) => prunedAt) && (await bundlesOf(session.id)) === 0;
        });
      });
    }

    it('is recorded before anything is pruned', async () => {
      const { session, send } = await begun('finished');
      const { commit, answer } = await send(ASYNC, 2);
      expect(answer.status).toBe(202);
      await session.post('finish', { outcome: 'completed' });
      await watch();
      expect(await flow.runs('prune', session.id)).toEqual([]);
      await isKept(session, commit);
    });

    it('is recorded also where the prune was under way', async () => {
      const { session, send } = await begun('pruning');
      await session.post('finish', { outcome: 'completed' });
      await watch();
      expect(await flow.runs('prune', session.id)).toHaveLength(1);
      const { commit, answer } = await send(ASYNC, 2);
      expect(answer.status).toBe(202);
      await isKept(session, commit);
    });

    it('loses no bundle that is still being accepted', async () => {
      const { session } = await begun('accepting');
      const chunks = (async function* () {
        yield Buffer.from('half');
      })();
      const id = newId();
      await insertBundle(flow.db(), { id, sessionId: session.id, prerequisites: [], chunks });
      await session.post('finish', { outcome: 'completed' });
      await withWorker(() => flow.finished('prune', session.id));
      const left = await flow.db().selectFrom('bundles').select('id').execute();
      expect(left).toContainEqual({ id });
    });
  });

  it('as an upload that is still on its way: its sender is alive', async () => {
    const session = await flow.start({ host: 'laptop' });
    const url = `${flow.service.url}/api/sessions/${session.id}/checkpoints`;
    const headers = {
      authorization: `Bearer ${session.token}`,
      'content-type': 'multipart/form-data; boundary=x',
      'content-length': 100_000,
    };
    const sending = request(url, { method: 'POST', headers });
    sending.on('error', () => undefined);
    sending.write('--x\r\n');
    await until(
      'it counts as running',
      async () => (await flow.session(session.id)).status === 'running',
    );
    sending.destroy();
  });

  it('as an upload that is no bundle: what was said is kept, and the sender learns both', async () => {
    const session = await flow.start({ host: 'laptop' });
    const meta = { ...SAID, commit: 'a'.repeat(40) };
    const sent = await withWorker(() =>
      upload(flow, session, { meta, bundle: Buffer.from('hello') }),
    );
    expect(sent).toMatchObject({
      status: 422,
      body: { code: 'invalid', detail: expect.stringContaining('kept as checkpoint 1') },
    });
    const [saved] = await flow.checkpoints(session.id);
    expect(saved).toMatchObject({ number: 1, reasoning, commit: null });
    expect(saved.warnings).toEqual([expect.stringContaining('verify bundle')]);
    expect(await flow.runs('checkpoint', session.id)).toMatchObject([{ status: 'error' }]);
  });

  it('whose files cannot be recorded: what was said is', async () => {
    const { worktree } = flow.clone('unrecorded');
    const session = await flow.start({ worktree });
    await sql`ALTER TABLE checkpoints ADD CONSTRAINT no_files
      CHECK (session_id <> ${sql.lit(session.id)} OR commit IS NULL) NOT VALID`.execute(flow.db());
    const sent = await withWorker(() => session.post('checkpoints', SAID));
    expect(sent).toMatchObject({ status: 201, body: { reasoning, commit: null } });
    expect(sent.body.warnings).toEqual([expect.stringContaining('record checkpoint')]);
    const [run] = await flow.runs('checkpoint', session.id);
    expect(run).toMatchObject({ status: 'warning', errors: [], warnings: sent.body.warnings });
    expect(run.summary).toContain('Saved checkpoint 1 without files');
    await sql`ALTER TABLE checkpoints DROP CONSTRAINT no_files`.execute(flow.db());
  });

  it('of a folder that may not be captured: a warning, as nothing is lost', async () => {
    const worktree = join(flow.root, 'elsewhere');
    mkdirSync(worktree);
    const session = await flow.start({ worktree });
    await withWorker(async () => {
      const saved = await session.post('checkpoints', SAID);
      expect(saved).toMatchObject({ status: 201, body: { reasoning, commit: null } });
      await session.post('interrupt', { reason: 'limit' });
      await until('both ran', async () => {
        const runs = await flow.runs('checkpoint', session.id);
        return runs.length === 2 && runs.every(({ finishedAt }) => finishedAt);
      });
    });
    for (const run of await flow.runs('checkpoint', session.id)) {
      const outside = expect.stringContaining('outside the allowed roots');
      expect(run).toMatchObject({ status: 'warning', errors: [], warnings: [outside] });
    }
    expect(await flow.checkpoints(session.id)).toHaveLength(1);
  });

  it('with ignored files: they are named, and no warning', async () => {
    const { worktree } = flow.clone('ignored');
    put(worktree, '.gitignore', 'node_modules/\n');
    userGit(worktree, ['add', '.gitignore']);
    put(worktree, 'node_modules/x.js', 'x\n');
    const session = await flow.start({ worktree });
    const saved = await withWorker(() => session.post('checkpoints', SAID));
    const path = 'node_modules/';
    expect(saved.body).toMatchObject({ notCaptured: [{ path, reason: 'ignored' }], warnings: [] });
    const [run] = await flow.runs('checkpoint', session.id);
    expect(run).toMatchObject({ status: 'ok', warnings: [] });
  });
});
