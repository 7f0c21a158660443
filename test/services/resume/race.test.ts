import { rmSync } from 'node:fs';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { insertCheckpoint } from '../../../src/db/queries/checkpoints.ts';
import { newId } from '../../../src/services/ids.ts';
import { makeDirty, type Resumable, startResumable } from '../../setup/resumable.ts';
import { until } from '../../setup/until.ts';
import { filesOf } from '../git/helpers.ts';

describe('a checkpoint that another worker records during the restore', { timeout: 90_000 }, () => {
  let flow: Resumable;
  beforeAll(async () => {
    flow = await startResumable('postgres');
  });
  afterAll(() => flow.stop());

  it('is what the successor goes on from: what was restored meanwhile counts no more', async () => {
    const { worktree } = flow.clone('raced');
    makeDirty(worktree);
    const files = filesOf(worktree);
    const session = await flow.start({ worktree });
    expect((await session.post('checkpoints', { trigger: 'turn' })).status).toBe(201);
    rmSync(worktree, { recursive: true });

    // The restore needs the bundle now, and waits for it.
    const lock = new Client({ connectionString: flow.service.database.url });
    await lock.connect();
    await lock.query('BEGIN; LOCK TABLE bundle_chunks IN ACCESS EXCLUSIVE MODE');
    await flow.expire(session.id);
    await until('the restore waits', async () => {
      const { rows } = await lock.query(
        "SELECT FROM pg_locks WHERE relation = 'bundle_chunks'::regclass AND NOT granted",
      );
      return rows.length > 0;
    });
    const runId = newId();
    const checkpoint = {
      id: newId(),
      sessionId: session.id,
      runId,
      acceptedBy: runId,
      trigger: 'turn',
      turn: null,
      reasoning: { nextStep: 'what came last' },
      work: null,
      warnings: [],
      notCaptured: [],
      bundleId: null,
      retentionDays: 14,
    };
    const late = await flow
      .db()
      .transaction()
      .execute((trx) => insertCheckpoint(trx, checkpoint));
    expect(late).toMatchObject({ number: 2, late: false });
    await lock.end();

    const second = await flow.claim();
    expect(second.session.latestCheckpointId).toBe(late?.id);
    expect(second.continuation).toContain('what came last');
    expect(filesOf(second.session.worktree)).toEqual(files);
    const runs = await flow.runs('resume', second.id);
    expect(runs).toHaveLength(2);
    expect(runs.at(-1)?.errors).toEqual([expect.stringContaining('got a newer checkpoint')]);
  });
});
