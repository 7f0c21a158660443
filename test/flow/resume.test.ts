import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { filesOf, gitLine, standOf, statusOf } from '../services/git/helpers.ts';
import {
  checkpointBranches,
  makeDirty,
  type Resumable,
  startResumable,
} from '../setup/resumable.ts';
import { backends } from '../setup/service.ts';
import { until } from '../setup/until.ts';

/** The three things that the service is for, over HTTP with real git and real remotes. */
describe.each(backends)('work that was cut off, on %s', (backend) => {
  let flow: Resumable;
  beforeAll(async () => {
    flow = await startResumable(backend, { DEFIB_CHECKPOINT_REMOTE: 'origin' });
  });
  afterAll(() => flow.stop());

  it('is saved at the time limit, resumed in a new worktree, and cleaned up on success', async () => {
    const { worktree, remote } = flow.clone('app');
    const first = await flow.start({ worktree, repo: 'acme/app', timeoutSeconds: 120 });
    const saved = await first.post('checkpoints', {
      trigger: 'turn',
      turn: 3,
      reasoning: { approach: 'mend the parser first', remaining: ['its tests'] },
    });
    expect(saved).toMatchObject({
      status: 201,
      body: { number: 1, turn: 3, durability: 'pushed', filesChanged: 0, notCaptured: [] },
    });
    makeDirty(worktree);
    const before = { stand: standOf(worktree), stash: gitLine(worktree, 'stash', 'list') };
    await flow.expire(first.id);

    const second = await flow.claim();
    expect(second.session).toMatchObject({
      attempt: 2,
      resumedFrom: first.id,
      status: 'starting',
      host: 'here',
    });
    expect(second.continuation).toContain('mend the parser first');
    expect(second.continuation).toContain('it reached its time limit');
    const restored = second.session.worktree;
    expect(restored).not.toBe(worktree);
    expect(filesOf(restored)).toEqual(filesOf(worktree));
    expect(standOf(restored)).toEqual(before.stand);
    expect(standOf(worktree)).toEqual(before.stand);
    expect(gitLine(worktree, 'stash', 'list')).toBe(before.stash);

    const branch = `checkpoint/builder/${first.id}`;
    expect(checkpointBranches(worktree)).toEqual([branch]);
    expect(checkpointBranches(remote)).toEqual([branch]);
    const chain = await flow.session(first.id);
    expect(chain).toMatchObject({ status: 'timed_out', endReason: 'deadline_passed' });
    const last = await flow.service.call('GET', `/api/checkpoints/${chain.latestCheckpointId}`);
    expect(last.body).toMatchObject({ number: 2, trigger: 'timed_out', durability: 'pushed' });
    const patch = await flow.service.call('GET', `/api/checkpoints/${last.body.id}/diff`);
    expect(patch.text).toContain('+unstaged');

    expect((await second.post('finish', { outcome: 'completed' })).status).toBe(200);
    await until('the branches are pruned', () => checkpointBranches(worktree).length === 0);
    await until('the remote is pruned', () => checkpointBranches(remote).length === 0);
    expect(statusOf(worktree)).toBe(before.stand['status']);
    const pruned = await until('the prune is recorded', async () =>
      (await flow.runs('prune')).find((run) => run.sessionId === first.id && run.finishedAt),
    );
    expect(pruned).toMatchObject({ status: 'ok' });
    expect(pruned.summary).toContain(`emoved the local branch ${branch}`);
    const bundle = () => flow.service.call('GET', `/api/checkpoints/${last.body.id}/bundle`);
    // It is committed nowhere: kept until somebody has it, or wants it no more.
    expect((await bundle()).status).toBe(200);
    const done = await flow.service.call('POST', `/api/sessions/${second.id}/dismiss`);
    expect(done.body.result).toMatchObject({ state: 'uncommitted', keptUntil: null });
    await until('its bundle is pruned', async () => (await bundle()).status === 404);
  });
});
