import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gitLine, put, userGit } from '../services/git/helpers.ts';
import {
  checkpointBranches,
  makeDirty,
  type Resumable,
  startResumable,
} from '../setup/resumable.ts';
import { until } from '../setup/until.ts';

describe('prune', () => {
  let flow: Resumable;
  beforeAll(async () => {
    flow = await startResumable('postgres', {
      DEFIB_CHECKPOINT_REMOTE: 'origin',
      DEFIB_KEEP_RESULT_DAYS: '0',
    });
  });
  afterAll(() => flow.stop());

  const saved = async (name: string, body: object = {}) => {
    const { worktree, remote } = flow.clone(name);
    makeDirty(worktree);
    const session = await flow.start({ worktree, ...body });
    const { status } = await session.post('checkpoints', { trigger: 'turn' });
    expect(status).toBe(201);
    return { worktree, remote, session, branch: session.session.checkpointBranch as string };
  };
  /** As if the time until the next prune had passed. */
  const hurry = (id: string) =>
    sql`UPDATE sessions SET prune_at = now() WHERE id = ${id} AND prune_at IS NOT NULL`.execute(
      flow.db(),
    );
  const pruneAt = async (id: string) => {
    const row = await flow
      .db()
      .selectFrom('sessions')
      .select(sql<number | null>`extract(epoch FROM prune_at - now()) / 86400`.as('days'))
      .where('id', '=', id)
      .executeTakeFirst();
    return row?.days ?? null;
  };
  const pruned = (id: string) =>
    until('it is pruned', async () => {
      const all = await flow.checkpoints(id);
      return all.length > 0 && all.every(({ prunedAt }) => prunedAt);
    });

  it('leaves branches alone that somebody else has moved, and says so', async () => {
    const { worktree, remote, session, branch } = await saved('moved');
    userGit(worktree, ['update-ref', `refs/heads/${branch}`, 'main']);
    userGit(remote, ['update-ref', `refs/heads/${branch}`, 'main']);
    userGit(worktree, ['branch', 'checkpoint/builder/of-mine', 'main']);
    await session.post('finish', { outcome: 'completed' });
    await pruned(session.id);
    const run = await flow.finished('prune', session.id);
    expect(run).toMatchObject({
      status: 'warning',
      warnings: [
        expect.stringContaining(`The local branch ${branch} was moved by somebody else`),
        expect.stringContaining(`The remote branch ${branch} was moved by somebody else`),
      ],
    });
    const main = gitLine(worktree, 'rev-parse', 'main');
    expect(gitLine(worktree, 'rev-parse', branch)).toBe(main);
    expect(gitLine(remote, 'rev-parse', branch)).toBe(main);
    expect(checkpointBranches(worktree)).toContain('checkpoint/builder/of-mine');
  });

  it.each(['failed', 'cancelled'])('keeps what %s until its retention is over', async (outcome) => {
    await flow.policy({ checkpointRetentionDays: 3 });
    const { worktree, remote, session, branch } = await saved(outcome);
    await session.post('finish', { outcome });
    expect(Math.round((await pruneAt(session.id)) ?? 0)).toBe(3);
    expect(checkpointBranches(worktree)).toEqual([branch]);
    await hurry(session.id);
    await pruned(session.id);
    expect(checkpointBranches(worktree)).toEqual([]);
    expect(checkpointBranches(remote)).toEqual([]);
    await flow.policy({});
  });

  it('touches nothing while the chain lives, and a late checkpoint goes as well', async () => {
    const { worktree, session, branch } = await saved('chain');
    await flow.expire(session.id);
    const second = await flow.claim();
    await sql`UPDATE sessions SET prune_at = now() WHERE id = ${session.id}`.execute(flow.db());
    // Long enough for several looks: what is due is taken at the next one, and this one is passed over.
    const other = await saved('other');
    await other.session.post('finish', { outcome: 'completed' });
    await pruned(other.session.id);
    expect(checkpointBranches(worktree)).toEqual([branch]);
    await second.post('finish', { outcome: 'completed' });
    await pruned(session.id);
    expect(checkpointBranches(worktree)).toEqual([]);

    put(worktree, 'late.txt', 'late\n');
    const late = await session.post('checkpoints', { trigger: 'turn' });
    expect(late).toMatchObject({ status: 409, body: { code: 'session_superseded' } });
    await pruned(session.id);
    await until('it is gone again', () => checkpointBranches(worktree).length === 0);
  });

  it('is tried again where the remote cannot be reached, or the host is away', async () => {
    const { worktree, remote, session, branch } = await saved('away');
    const aside = join(flow.root, 'aside.git');
    renameSync(remote, aside);
    await sql`UPDATE sessions SET host = 'away' WHERE id = ${session.id}`.execute(flow.db());
    await session.post('finish', { outcome: 'completed' });
    const run = await flow.finished('prune', session.id);
    expect(run).toMatchObject({ status: 'warning' });
    expect(run.warnings.join('\n')).toMatch(/is on host "away".*\n.*remote/is);
    expect(checkpointBranches(worktree)).toEqual([branch]);
    expect((await flow.checkpoints(session.id))[0].prunedAt).toBeNull();

    renameSync(aside, remote);
    await sql`UPDATE sessions SET host = 'here' WHERE id = ${session.id}`.execute(flow.db());
    await hurry(session.id);
    await pruned(session.id);
    expect(checkpointBranches(worktree)).toEqual([]);
    expect(checkpointBranches(remote)).toEqual([]);
  });

  it('is done with where the worktree is gone', async () => {
    const { worktree, session } = await saved('gone');
    rmSync(worktree, { recursive: true });
    await session.post('finish', { outcome: 'completed' });
    await pruned(session.id);
    expect(await pruneAt(session.id)).toBeNull();
  });
});
