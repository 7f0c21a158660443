import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { filesOf, put } from '../services/git/helpers.ts';
import { makeDirty, type Resumable, startResumable } from '../setup/resumable.ts';
import { type Answer } from '../setup/service.ts';
import { until } from '../setup/until.ts';

describe('work that cannot be restored as it was saved', () => {
  let flow: Resumable;
  beforeAll(async () => {
    flow = await startResumable('postgres');
  });
  afterAll(() => flow.stop());

  const saved = async (name: string) => {
    const { worktree } = flow.clone(name);
    makeDirty(worktree);
    const session = await flow.start({ worktree });
    expect((await session.post('checkpoints', { trigger: 'turn' })).status).toBe(201);
    return { worktree, session };
  };
  const successorOf = (id: string, status: string) =>
    until(`its successor is ${status}`, async () =>
      (await flow.session(id)).attempts.find(
        (each: Answer['body']) => each.attempt === 2 && each.status === status,
      ),
    );
  const privateDir = (id: string) => join(flow.root, 'data-here', 'git', id);
  /** Turns over the bits of one byte, so many from the end, of the last chunk. */
  const damageBundle = (id: string, fromEnd: number) =>
    sql`UPDATE bundle_chunks SET data = set_byte(data, length(data) - ${fromEnd}::int,
        get_byte(data, length(data) - ${fromEnd}::int) # 255)
      WHERE bundle_id IN (SELECT id FROM bundles WHERE session_id = ${id})`.execute(flow.db());

  it('since one byte of its bundle changed, is refused with the reason; a person must look', async () => {
    const { worktree, session } = await saved('damaged');
    await damageBundle(session.id, 60);
    rmSync(worktree, { recursive: true });
    rmSync(privateDir(session.id), { recursive: true });
    await flow.expire(session.id);
    const refused = await successorOf(session.id, 'failed');
    expect(refused).toMatchObject({
      endReason: 'restore_refused',
      needsAttention: true,
      worktree: null,
      summary: expect.stringMatching(/Checkpoint 1 could not be restored.*damaged/),
    });
    const run = await flow.finished('resume', refused.id);
    expect(run).toMatchObject({ status: 'error' });
    const none = await flow.service.call('POST', '/api/agents/builder/claim', {
      token: flow.agent,
    });
    expect(none.status).toBe(204);
    expect((await flow.checkpoints(session.id))[0].prunedAt).toBeNull();
  });

  it('from the worktree comes from its bundle, byte for byte', async () => {
    const { worktree, session } = await saved('bundled');
    const files = filesOf(worktree);
    rmSync(worktree, { recursive: true });
    await flow.expire(session.id);
    const second = await flow.claim();
    expect(filesOf(second.session.worktree)).toEqual(files);
  });

  it('is none of that after the data folder was lost: checkpoints go on from the branch', async () => {
    const { worktree, session } = await saved('wiped');
    rmSync(privateDir(session.id), { recursive: true });
    put(worktree, 'later.txt', 'later\n');
    const again = await session.post('checkpoints', { trigger: 'turn' });
    expect(again).toMatchObject({ status: 201, body: { number: 2, warnings: [] } });
    const files = filesOf(worktree);
    rmSync(privateDir(session.id), { recursive: true });
    rmSync(worktree, { recursive: true });
    await flow.expire(session.id);
    const second = await flow.claim();
    expect(filesOf(second.session.worktree)).toEqual(files);
  });

  it('is none of that after data folder and branch were lost', async () => {
    const { worktree, session } = await saved('wiped-too');
    rmSync(privateDir(session.id), { recursive: true });
    rmSync(join(worktree, '.git/refs/heads/checkpoint'), { recursive: true });
    put(worktree, 'later.txt', 'later\n');
    const again = await session.post('checkpoints', { trigger: 'turn' });
    expect(again).toMatchObject({ status: 201, body: { number: 2, durability: 'stored' } });
    const files = filesOf(worktree);
    rmSync(worktree, { recursive: true });
    rmSync(privateDir(session.id), { recursive: true });
    await flow.expire(session.id);
    const second = await flow.claim();
    expect(filesOf(second.session.worktree)).toEqual(files);
  });
});
