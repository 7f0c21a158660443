import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Agent } from '../../../src/db/schema.ts';
import { setStage, type Stage } from '../../setup/github/stage.ts';
import { until } from '../../setup/until.ts';

let stage: Stage;
let count = 0;
let fullName = '';
let agent: Agent;

beforeAll(async () => {
  // Unchecked: holding hundreds of issues to the description takes longer than the sync.
  stage = await setStage({ fake: { checked: false } });
});
beforeEach(async () => {
  count += 1;
  fullName = `acme/app-${count}`;
  agent = await stage.agent(`agent-${count}`, fullName);
  stage.fake.requests.splice(0);
});
afterEach(() => stage.fake.clearFaults());
afterAll(() => stage.close());

/** The pages that were asked for, each by its number. */
const pages = () =>
  stage.fake.requests.flatMap(({ path }) =>
    path.includes('/issues?') ? [Number(/[?&]page=(\d+)/.exec(path)?.[1] ?? '1')] : [],
  );
const readRepo = () => stage.repo(fullName);
const storedPages = async () => {
  const { id } = await readRepo();
  const rows = await stage.db
    .selectFrom('sync_pages')
    .select('at')
    .where('repo_id', '=', id)
    .execute();
  return rows.length;
};

describe('a listing that is cut off', () => {
  test('goes on at the page that was read last, however often it is cut off', async () => {
    stage.fake.repo(fullName, { issues: 950 });
    for (const page of [3, 6, 8]) {
      const fault = stage.fake.fault({
        kind: 'status',
        status: 409,
        path: new RegExp(`[?&]page=${page}$`),
      });
      expect((await stage.sync(agent)).warnings).toHaveLength(1);
      fault.clear();
      await stage.age(fullName, 600);
    }
    expect(await stage.sync(agent)).toEqual({ warnings: [], synced: 1 });
    expect(pages()).toEqual([1, 2, 3, 2, 3, 4, 5, 6, 5, 6, 7, 8, 7, 8, 9, 10]);
    const issues = await stage.db.selectFrom('issues').select('id').execute();
    expect(issues).toHaveLength(950);
    expect(await readRepo()).toMatchObject({ pass_at: null, synced_at: expect.any(Date) });
    expect(await storedPages()).toBe(0);
    stage.fake.requests.splice(0);
    await stage.age(fullName, 120);
    await stage.sync(agent);
    // The cursor is of the first page of the first try.
    expect(new URL(stage.fake.requests[0]?.path ?? '', 'http://x').searchParams.has('since')).toBe(
      true,
    );
  });

  test('of everything still tells what vanished, and asks for nothing that it listed', async () => {
    const repo = stage.fake.repo(fullName, { issues: 350 });
    await stage.sync(agent);
    repo.delete(5);
    await stage.age(fullName, 90_000);
    const fault = stage.fake.fault({ kind: 'status', status: 409, path: /[?&]page=3$/ });
    await stage.sync(agent);
    expect(await storedPages()).toBe(2);
    fault.clear();
    await stage.age(fullName, 600);
    stage.fake.requests.splice(0);
    expect(await stage.sync(agent)).toEqual({ warnings: [], synced: 1 });
    const single = stage.fake.requests.filter(({ path }) => /\/issues\/\d+$/.test(path));
    expect(single.map(({ path }) => path)).toEqual([`/repos/${fullName}/issues/5`]);
    const gone = await stage.db
      .selectFrom('issues')
      .select('number')
      .where('vanished_at', 'is not', null)
      .execute();
    expect(gone).toEqual([{ number: 5 }]);
  });

  test('begins anew after a day, and where its page is no page any more', async () => {
    stage.fake.repo(fullName, { issues: 350 });
    const fault = stage.fake.fault({ kind: 'status', status: 409, path: /[?&]page=3$/ });
    await stage.sync(agent);
    await stage.age(fullName, 90_000);
    stage.fake.requests.splice(0);
    await stage.sync(agent);
    expect(pages()).toEqual([1, 2, 3]);
    fault.clear();

    const lost = stage.fake.fault({ kind: 'status', status: 422, path: /[?&]page=2$/ });
    await stage.age(fullName, 600);
    await stage.sync(agent);
    lost.clear();
    await stage.age(fullName, 600);
    stage.fake.requests.splice(0);
    expect(await stage.sync(agent)).toEqual({ warnings: [], synced: 1 });
    expect(pages()).toEqual([1, 2, 3, 4]);
  });

  test('because its time was over goes on by itself', async () => {
    stage.fake.repo(fullName, { issues: 550 });
    stage.fake.fault({ kind: 'hold', path: /[?&]page=3$/, times: 1 });
    const brief = stage.process({ settings: { sliceMs: 4000 } });
    expect(await stage.sync(agent, brief)).toEqual({ warnings: [], synced: 1 });
    expect(await readRepo()).toMatchObject({ lease_epoch: 2 });
    expect(pages()).toEqual([1, 2, 3, 2, 3, 4, 5, 6]);
  });
});

describe('repositories that hang', () => {
  test('do not keep the healthy ones waiting', async () => {
    const hanging = Array.from({ length: 6 }, (_, index) => `acme/hanging-${count}-${index}`);
    for (const name of [...hanging, fullName]) stage.fake.repo(name, { issues: 1 });
    const many = await stage.agent(`many-${count}`, ...hanging);
    stage.fake.fault({ kind: 'hold', path: /hanging/ });
    await stage.sync(many, stage.process({ forge: { requestTimeoutMs: 100 } }));
    for (const name of hanging) await stage.age(name, 600);

    const patient = stage.process({ forge: { requestTimeoutMs: 600_000 } });
    const controller = new AbortController();
    const waits = stage.sync(many, patient, controller.signal);
    const held = stage.fake.requests.length;
    await until('they hang', () => stage.fake.requests.length >= held + 1);
    expect(await stage.sync(agent, patient)).toEqual({ warnings: [], synced: 1 });
    controller.abort(new Error('enough'));
    await expect(waits).rejects.toThrow('enough');
  });

  test('are not said to be in sync, and it is said how old their issues are', async () => {
    stage.fake.repo(fullName, { issues: 1 });
    await stage.sync(agent);
    await stage.age(fullName, 600);
    const { synced_at: syncedAt } = await readRepo();
    stage.fake.fault({ kind: 'hold' });
    const hasty = stage.process({ settings: { waitMs: 50 } });
    const since = syncedAt!.toISOString().replace(/\.\d+Z$/, 'Z');
    expect(await stage.sync(agent, hasty)).toEqual({
      warnings: [
        `sync issues: ${fullName}: It is not up to date: its sync waits for its turn, or takes long. Its issues are as of ${since}.`,
      ],
      synced: 0,
    });
  });

  test('are one warning, however many they are', async () => {
    const names = Array.from({ length: 40 }, (_, index) => `acme/down-${count}-${index}`);
    for (const name of names) stage.fake.repo(name, { issues: 1 });
    const many = await stage.agent(`many-${count}`, ...names);
    stage.fake.fault({ kind: 'status', status: 409 });
    const { warnings, synced } = await stage.sync(many);
    expect(synced).toBe(0);
    expect(warnings).toEqual([
      expect.stringMatching(/^sync issues: (acme\/down-\S+, ){4}acme\/down-\S+ and 35 more: /),
    ]);
  });
});
