import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Db, openDb, openPool } from '../../../src/db/connect.ts';
import { upsertAgent } from '../../../src/db/queries/agents.ts';
import {
  dropSyncLease,
  failSync,
  finishSync,
  listAgentSyncStates,
  renewSyncLease,
  type SyncLease,
  takeSyncLease,
} from '../../../src/db/queries/repo-sync.ts';
import { clearRepoFailures, setAgentRepos, upsertRepo } from '../../../src/db/queries/repos.ts';
import { newId } from '../../../src/services/ids.ts';
import { createTestDatabase, type TestDatabase } from '../../setup/database.ts';

let database: TestDatabase;
let db: Db;
let id = '';
let count = 0;
const agentId = newId();

beforeAll(async () => {
  database = await createTestDatabase();
  db = openDb(openPool({ url: database.url, max: 5, applicationName: 'test', onError: () => {} }));
  await upsertAgent(db, agentId, 'builder', {});
});
beforeEach(async () => {
  count += 1;
  ({ id } = await upsertRepo(db, newId(), { owner: 'acme', name: `app-${count}` }));
  await setAgentRepos(db, agentId, [id]);
});
afterAll(async () => {
  await db.destroy();
  await database.drop();
});

const take = (holder: string) =>
  takeSyncLease(db, {
    id,
    holder,
    leaseSeconds: 30,
    freshnessSeconds: 60,
    fullPassSeconds: 86_400,
  });

async function taken(holder: string): Promise<SyncLease> {
  const lease = await take(holder);
  if (!lease) throw new Error('no lease');
  return lease;
}

const row = () => db.selectFrom('repos').selectAll().where('id', '=', id).executeTakeFirstOrThrow();

async function set(values: Record<string, Date | null>): Promise<void> {
  await db.updateTable('repos').set(values).where('id', '=', id).execute();
}

const past = () => new Date(Date.now() - 120_000);
const state = async () =>
  (await listAgentSyncStates(db, agentId, { freshnessSeconds: 60 }))[0]?.state;
const renew = (lease: SyncLease) =>
  db.transaction().execute((trx) => renewSyncLease(trx, lease, 30));
const failure = (retryAfterSeconds?: number) => ({
  kind: 'unavailable',
  text: 'It is down.',
  retryAfterSeconds,
  backoffSeconds: 30,
  maxBackoffSeconds: 300,
});

test('one of many gets the lease', async () => {
  const leases = await Promise.all(Array.from({ length: 5 }, (_, index) => take(`p${index}`)));
  expect(leases.filter(Boolean)).toHaveLength(1);
});

test('the state follows lease, freshness and failure', async () => {
  expect(await state()).toBe('due');
  const lease = await taken('a');
  expect(await state()).toBe('leased');
  await finishSync(db, lease, new Date());
  expect(await state()).toBe('fresh');
  await set({ synced_at: past() });
  expect(await state()).toBe('due');
  await failSync(db, await taken('a'), failure());
  expect(await state()).toBe('backing_off');
  await clearRepoFailures(db, id);
  expect(await state()).toBe('due');
});

test('a lease that ran out is taken over, and its holder can write nothing', async () => {
  const lost = await taken('a');
  await set({ lease_until: past() });
  const current = await taken('b');
  expect(current.epoch).toBe(lost.epoch + 1);
  const before = await row();
  expect(await renew(lost)).toBe(false);
  expect(await finishSync(db, lost, new Date())).toBe(false);
  expect(await failSync(db, lost, failure())).toBe(false);
  await dropSyncLease(db, lost);
  expect(await row()).toEqual(before);
  expect(await renew(current)).toBe(true);
});

test('the same process under a new lease is another holder as well', async () => {
  const lost = await taken('a');
  await set({ lease_until: past() });
  await taken('a');
  expect(await renew(lost)).toBe(false);
});

test('a lease that was given back is worth nothing', async () => {
  const lease = await taken('a');
  await finishSync(db, lease, new Date());
  expect(await renew(lease)).toBe(false);
  expect(await failSync(db, lease, failure())).toBe(false);
});

test('a lease that ran out still counts while nobody else took it', async () => {
  const lease = await taken('a');
  await set({ lease_until: past() });
  expect(await renew(lease)).toBe(true);
  expect(await finishSync(db, lease, new Date())).toBe(true);
});

test('the cursor never goes back', async () => {
  const now = new Date();
  await finishSync(db, await taken('a'), now);
  await set({ synced_at: past() });
  await finishSync(db, await taken('a'), past());
  expect((await row()).sync_cursor).toEqual(now);
});

test('the wait doubles with each failure, up to a limit, and ends with a success', async () => {
  const waits: number[] = [];
  for (let failures = 0; failures < 6; failures += 1) {
    await failSync(db, await taken('a'), failure());
    const { failed_at, next_attempt_at } = await row();
    waits.push(Math.round((Number(next_attempt_at) - Number(failed_at)) / 1000));
    await set({ next_attempt_at: past() });
  }
  expect(waits).toEqual([30, 60, 120, 240, 300, 300]);
  await finishSync(db, await taken('a'), new Date());
  expect(await row()).toMatchObject({
    failure_kind: null,
    failure_text: null,
    failure_count: 0,
    next_attempt_at: null,
  });
});

test('what upstream says about the wait counts for more', async () => {
  await failSync(db, await taken('a'), failure(1234));
  const { failed_at, next_attempt_at } = await row();
  expect(Math.round((Number(next_attempt_at) - Number(failed_at)) / 1000)).toBe(1234);
});
