import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commitAll, gitLine, put, userGit } from '../services/git/helpers.ts';
import {
  checkpointBranches,
  makeDirty,
  type Resumable,
  startResumable,
} from '../setup/resumable.ts';
import { until } from '../setup/until.ts';

describe('the result of finished work', () => {
  let flow: Resumable;
  beforeAll(async () => {
    flow = await startResumable('postgres');
  });
  afterAll(() => flow.stop());

  /** Work that was saved, in a state that `prepare` makes, but not finished. */
  const saved = async (name: string, prepare: (worktree: string) => void) => {
    const { worktree } = flow.clone(name);
    prepare(worktree);
    const session = await flow.start({ worktree });
    const { status, body } = await session.post('checkpoints', { trigger: 'turn' });
    expect(status).toBe(201);
    return { worktree, session, checkpointId: body.id as string };
  };
  const finish = async (session: { id: string; post: (...args: [string, object]) => unknown }) => {
    await session.post('finish', { outcome: 'completed' });
    await flow.finished('prune', session.id);
    return (await flow.session(session.id)).result;
  };
  const bundle = async (id: string) =>
    (await flow.service.call('GET', `/api/checkpoints/${id}/bundle`)).status;
  const dismiss = (id: string) => flow.service.call('POST', `/api/sessions/${id}/dismiss`);

  it('is kept when it is not committed: its branch goes, its bundle stays until it is dismissed', async () => {
    const { worktree, session, checkpointId } = await saved('dirty', makeDirty);
    const result = await finish(session);
    expect(result).toMatchObject({
      state: 'uncommitted',
      host: 'here',
      worktree,
      branch: 'main',
      head: gitLine(worktree, 'rev-parse', 'HEAD'),
      filesChanged: 4,
    });
    const days = (Date.parse(result.keptUntil) - Date.now()) / 86_400_000;
    expect(days).toBeCloseTo(7, 1);
    expect(checkpointBranches(worktree)).toEqual([]);
    expect(await bundle(checkpointId)).toBe(200);
    const { results } = (await flow.service.call('GET', '/api/status')).body;
    expect(results).toMatchObject([
      { sessionId: session.id, agentName: 'builder', state: 'uncommitted', worktree },
    ]);

    expect((await dismiss(session.id)).body.result).toMatchObject({ keptUntil: null });
    await until('it is pruned', async () => (await flow.checkpoints(session.id))[0].prunedAt);
    expect(await bundle(checkpointId)).toBe(404);
    expect((await dismiss(session.id)).status).toBe(200);
  });

  it('is kept when it is in commits that no remote has, and not when one has them', async () => {
    const work = (worktree: string) => {
      makeDirty(worktree);
      commitAll(worktree, 'mend it');
    };
    const committed = await saved('committed', work);
    expect(await finish(committed.session)).toMatchObject({
      state: 'committed',
      filesChanged: 0,
      keptUntil: expect.any(String),
    });
    expect(await bundle(committed.checkpointId)).toBe(200);

    const landed = await saved('landed', (worktree) => {
      work(worktree);
      userGit(worktree, ['push', '--quiet', 'origin', 'main']);
    });
    expect(await finish(landed.session)).toMatchObject({ state: 'landed', keptUntil: null });
    await until(
      'it is pruned',
      async () => (await flow.checkpoints(landed.session.id))[0].prunedAt,
    );
    expect(await bundle(landed.checkpointId)).toBe(404);
  });

  it('is kept in its branch where git can make no bundle of it', async () => {
    const { remote } = flow.clone('whole');
    const worktree = join(flow.root, 'work', 'partial');
    userGit(remote, ['config', 'uploadpack.allowFilter', 'true']);
    const how = ['--filter=blob:none', '--no-checkout'];
    userGit(flow.root, ['clone', '--quiet', ...how, `file://${remote}`, worktree]);
    rmSync(remote, { recursive: true });
    put(worktree, 'new.txt', 'work\n');
    const session = await flow.start({ worktree });
    expect((await session.post('checkpoints', { trigger: 'turn' })).status).toBe(201);
    const result = await finish(session);
    expect(result).toMatchObject({ state: 'uncommitted', keptUntil: expect.any(String) });
    const prune = await flow.finished('prune', session.id);
    expect(prune).toMatchObject({ status: 'warning' });
    expect(prune.warnings[0]).toContain('kept in the branch');
    expect(checkpointBranches(worktree)).toHaveLength(1);
    await dismiss(session.id);
    await until('its branch is gone', () => checkpointBranches(worktree).length === 0);
  });

  it('is kept no longer once its user has committed and pushed it', async () => {
    const { worktree, session, checkpointId } = await saved('pushed', makeDirty);
    expect(await finish(session)).toMatchObject({ state: 'uncommitted' });
    commitAll(worktree, 'by the user');
    userGit(worktree, ['push', '--quiet', 'origin', 'main']);
    const due = await sql<{ ahead: boolean }>`
      SELECT prune_at < now() + interval '10 minutes' AS ahead FROM sessions
      WHERE id = ${session.id}`.execute(flow.db());
    expect(due.rows).toEqual([{ ahead: true }]);
    await sql`UPDATE sessions SET prune_at = now() WHERE id = ${session.id}`.execute(flow.db());
    await until('it is pruned', async () => (await flow.checkpoints(session.id))[0].prunedAt);
    expect((await flow.session(session.id)).result).toMatchObject({
      state: 'landed',
      keptUntil: null,
    });
    expect(await bundle(checkpointId)).toBe(404);
  });

  it('is stored before its branch goes, where it was on its machine alone', async () => {
    const { worktree, session, checkpointId } = await saved('local', makeDirty);
    await sql`UPDATE checkpoints SET bundle_id = NULL, durability = 'local'`.execute(flow.db());
    await sql`DELETE FROM bundles`.execute(flow.db());
    await finish(session);
    expect(checkpointBranches(worktree)).toEqual([]);
    expect(await bundle(checkpointId)).toBe(200);
  });

  it('keeps its branch where it cannot be stored yet', async () => {
    const { worktree, session } = await saved('away', makeDirty);
    await sql`UPDATE checkpoints SET bundle_id = NULL, durability = 'local'
      WHERE session_id = ${session.id}`.execute(flow.db());
    await sql`DELETE FROM bundles WHERE session_id = ${session.id}`.execute(flow.db());
    await sql`UPDATE sessions SET host = 'away' WHERE id = ${session.id}`.execute(flow.db());
    await finish(session);
    expect(await flow.finished('prune', session.id)).toMatchObject({
      status: 'error',
      errors: [expect.stringContaining('on host "away". Nothing is pruned until it is stored')],
    });
    expect(checkpointBranches(worktree)).toHaveLength(1);
  });

  it('is that of the attempt which saved files last', async () => {
    const { session, checkpointId } = await saved('chain', makeDirty);
    await flow.expire(session.id);
    const second = await flow.claim({ host: 'elsewhere' });
    await second.post('checkpoints', { trigger: 'turn', reasoning: { done: ['all'] } });
    expect(await finish(second)).toMatchObject({ state: 'uncommitted', filesChanged: 4 });
    await flow.finished('prune', session.id);
    const all = await flow.checkpoints(session.id);
    expect(await bundle(all.at(-1)?.id ?? checkpointId)).toBe(200);
  });

  it('is none where no files were saved, and is not kept where the policy says so', async () => {
    const thoughts = await flow.start();
    await thoughts.post('finish', { outcome: 'completed' });
    expect((await flow.session(thoughts.id)).result).toMatchObject({ state: 'none', head: null });
    await flow.policy({ keepResultDays: 0 });
    const { session, checkpointId } = await saved('unkept', makeDirty);
    expect(await finish(session)).toMatchObject({ state: 'uncommitted', keptUntil: null });
    expect(await bundle(checkpointId)).toBe(404);
    await flow.policy({});
  });
});
