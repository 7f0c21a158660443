import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeDirty, type Resumable, startResumable } from '../setup/resumable.ts';

/** What the service offers to who captures by itself. */
describe('a session that is looked after elsewhere', () => {
  let flow: Resumable;
  beforeAll(async () => {
    flow = await startResumable('postgres');
  });
  afterAll(() => flow.stop());

  it('says where it is worked on, and learns the time', async () => {
    const session = await flow.start({ host: 'here', worktree: '/old' });
    const beat = await session.post('heartbeat', { host: 'there', worktree: '/new' });
    const { now, leaseExpiresAt } = beat.body;
    expect(Date.parse(leaseExpiresAt) - Date.parse(now)).toBe(60_000);
    expect(await flow.session(session.id)).toMatchObject({ host: 'there', worktree: '/new' });
    await session.post('heartbeat', { turn: 1 });
    expect(await flow.session(session.id)).toMatchObject({ host: 'there', worktree: '/new' });
    await session.post('heartbeat', { host: 'pod' });
    expect(await flow.session(session.id)).toMatchObject({ host: 'pod', worktree: null });
    expect((await session.post('heartbeat', { worktree: '/alone' })).status).toBe(422);
  });

  it('saves reasoning without a capture, which hides no files; and reads its run', async () => {
    const { worktree } = flow.clone('words');
    makeDirty(worktree);
    const session = await flow.start({ worktree });
    const first = await session.post('checkpoints', { trigger: 'turn' });
    const words = { trigger: 'turn', reasoning: { nextStep: 'test' }, capture: false };
    const second = await session.post('checkpoints', words);
    expect(second.body).toMatchObject({
      number: 2,
      commit: first.body.commit,
      filesChanged: first.body.filesChanged,
      reasoning: { nextStep: 'test' },
    });
    const [run] = await flow.runs('checkpoint', session.id);
    const path = `/api/runs/${run.id}`;
    expect((await flow.service.call('GET', path, { token: session.token })).status).toBe(200);
    const other = await flow.start();
    expect((await flow.service.call('GET', path, { token: other.token })).status).toBe(404);
  });
});
