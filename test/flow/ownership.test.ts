import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { put, userGit } from '../services/git/helpers.ts';
import { type Resumable, startResumable } from '../setup/resumable.ts';
import { bundleOf, upload } from '../setup/upload.ts';

describe('the repository of an agent', { timeout: 120_000 }, () => {
  let flow: Resumable;
  let stranger: string;
  beforeAll(async () => {
    flow = await startResumable('postgres');
    stranger = await flow.service.agentToken('stranger');
  });
  afterAll(() => flow.stop());

  /** Another agent's session in a worktree, and what becomes of a checkpoint of it. */
  async function saveAsStranger(worktree: string, moved?: string) {
    const call = (path: string, token: string, body: object) =>
      flow.service.call('POST', `/api/${path}`, { token, body });
    const start = { objective: 'look around', worktree, host: 'here' };
    const { body } = await call('agents/stranger/sessions', stranger, start);
    if (moved) {
      const beat = { host: 'here', worktree: moved };
      await call(`sessions/${body.session.id}/heartbeat`, body.token, beat);
    }
    return await call(`sessions/${body.session.id}/checkpoints`, body.token, { trigger: 'turn' });
  }
  const refused = { status: 403, body: { code: 'forbidden' } };

  const used = async (name: string) => {
    const { worktree } = flow.clone(name);
    put(worktree, 'private.txt', 'only for builder\n');
    const saved = await (await flow.start({ worktree })).post('checkpoints', { trigger: 'turn' });
    expect(saved.status, saved.text).toBe(201);
    return worktree;
  };

  it('is not captured for another one, by whatever name or part of it', async () => {
    const worktree = await used('owned');
    expect(await saveAsStranger(worktree)).toMatchObject(refused);
    const alias = join(flow.root, 'work', 'alias');
    symlinkSync(worktree, alias);
    expect(await saveAsStranger(alias)).toMatchObject(refused);
    const linked = join(flow.root, 'work', 'linked');
    userGit(worktree, ['worktree', 'add', '--quiet', '--detach', linked]);
    expect(await saveAsStranger(linked)).toMatchObject(refused);
    const borrower = join(flow.root, 'work', 'borrower');
    userGit(flow.root, ['clone', '--quiet', '--shared', worktree, borrower]);
    expect(await saveAsStranger(borrower)).toMatchObject(refused);
    const own = flow.clone('of-stranger').worktree;
    expect(await saveAsStranger(own, worktree)).toMatchObject(refused);
    expect(await saveAsStranger(own)).toMatchObject({ status: 201 });
  });

  it('is given to another one by an operator, who thereby takes it from the rest', async () => {
    const worktree = await used('given');
    const policy = (agent: string, body: object) =>
      flow.service.call('PUT', `/api/agents/${agent}`, { body: { policy: body } });
    await policy('stranger', { roots: [worktree] });
    expect(await saveAsStranger(worktree)).toMatchObject({ status: 201 });
    const outside = flow.clone('outside').worktree;
    expect(await saveAsStranger(outside)).toMatchObject(refused);
    const again = await (await flow.start({ worktree })).post('checkpoints', { trigger: 'turn' });
    expect(again).toMatchObject(refused);
    await policy('stranger', {});
  });

  it('is not read as what an upload builds on', async () => {
    const { worktree, remote } = flow.clone('base');
    put(worktree, 'more.txt', 'more\n');
    const session = await flow.start({ worktree, host: 'laptop' });
    const { commit, bundle } = await bundleOf(worktree, session, { thin: true });
    for (const baseUrl of [remote, `file://${remote}`]) {
      const sent = await upload(flow, session, {
        meta: { trigger: 'turn', commit, baseUrl },
        bundle,
      });
      expect(sent).toMatchObject({ status: 422, body: { code: 'invalid' } });
      expect(sent.text).toContain('baseUrl is a path');
    }
  });
});
