import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Db, openDb, openPool } from '../../../src/db/connect.ts';
import { putAgent } from '../../../src/services/agents/put.ts';
import { createRunTally } from '../../../src/services/runs/tally.ts';
import { newId } from '../../../src/services/ids.ts';
import { createTestDatabase, type TestDatabase } from '../../setup/database.ts';

const SETTLE_MS = 10_000;

describe('createRunTally', () => {
  let database: TestDatabase;
  let db: Db;
  let ahead = 0;
  const open = (batch = 100) =>
    createRunTally({ db, settleMs: SETTLE_MS, batch, now: () => Date.now() + ahead });

  beforeAll(async () => {
    database = await createTestDatabase();
    db = openDb(
      openPool({ url: database.url, max: 2, applicationName: 'test', onError: () => undefined }),
    );
    await putAgent(db, 'builder', {});
  });
  beforeEach(() => {
    ahead = 0;
  });
  afterAll(async () => {
    await db.destroy();
    await database.drop();
  });

  async function addRun(result: 'queued' | 'ok' | 'error' = 'ok'): Promise<string> {
    const agent = await db.selectFrom('agents').selectAll().executeTakeFirstOrThrow();
    const id = newId();
    const row = { id, agent_id: agent.id, agent_name: agent.name, kind: 'heartbeat' as const };
    await db.insertInto('runs').values(row).execute();
    if (result !== 'queued') await end(id, result);
    return id;
  }
  async function end(id: string, status: 'ok' | 'error'): Promise<void> {
    const started_at = new Date();
    const finished_at = new Date(started_at.getTime() + 1500);
    await db
      .updateTable('runs')
      .set({ status, started_at, finished_at })
      .where('id', '=', id)
      .execute();
  }

  it('tells each run once, when it has settled', async () => {
    await addRun();
    // A millisecond later at the earliest: what was accepted before is not its business.
    ahead = 1;
    const tally = open();
    ahead = 0;
    await addRun();
    await db.selectFrom('runs').selectAll().execute();
    await addRun('error');
    expect(await tally.takeFinished()).toEqual([]);
    ahead = SETTLE_MS * 2;
    const taken = await tally.takeFinished();
    expect(taken).toContainEqual({ kind: 'heartbeat', status: 'error', seconds: 1.5 });
    expect(await tally.takeFinished()).toEqual([]);
  });

  it('tells a run that takes long once it is finished', async () => {
    const tally = open();
    const id = await addRun('queued');
    ahead = SETTLE_MS * 2;
    expect(await tally.takeFinished()).toEqual([]);
    expect(await tally.takeFinished()).toEqual([]);
    await end(id, 'ok');
    expect(await tally.takeFinished()).toEqual([{ kind: 'heartbeat', status: 'ok', seconds: 1.5 }]);
    expect(await tally.takeFinished()).toEqual([]);
  });

  it('forgets a run that was deleted before it was finished', async () => {
    const tally = open();
    const id = await addRun('queued');
    ahead = SETTLE_MS * 2;
    await tally.takeFinished();
    await db.deleteFrom('runs').where('id', '=', id).execute();
    expect(await tally.takeFinished()).toEqual([]);
  });

  it('goes on where a full batch ended', async () => {
    const tally = open(2);
    for (let at = 0; at < 5; at += 1) await addRun();
    ahead = SETTLE_MS * 2;
    const sizes = [];
    for (let at = 0; at < 4; at += 1) sizes.push((await tally.takeFinished()).length);
    expect(sizes).toEqual([2, 2, 1, 0]);
  });
});
