import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Agent, Issue } from '../../../src/db/schema.ts';
import { setStage, type Stage } from '../../setup/github/stage.ts';

let stage: Stage;
let count = 0;
let fullName = '';
let agent: Agent;

beforeAll(async () => {
  stage = await setStage();
});
beforeEach(async () => {
  count += 1;
  fullName = `acme/app-${count}`;
  agent = await stage.agent(`agent-${count}`, fullName);
  stage.fake.requests.splice(0);
});
afterEach(() => {
  stage.fake.clearFaults();
  expect(stage.fake.violations.splice(0)).toEqual([]);
});
afterAll(() => stage.close());

async function stored(name = fullName): Promise<Issue[]> {
  const { id } = await stage.repo(name);
  return await stage.db
    .selectFrom('issues')
    .selectAll()
    .where('repo_id', '=', id)
    .orderBy('number')
    .execute();
}

/** The window of freshness passes, and the daily full pass is not due. */
const later = () => stage.age(fullName, 120);
const nextDay = () => stage.age(fullName, 90_000);
const listings = () => stage.fake.requests.filter(({ path }) => path.includes('/issues?'));

describe('the first sync', () => {
  test('stores every issue, in every state', async () => {
    const repo = stage.fake.repo(fullName, { issues: 120 });
    repo.close(7);
    repo.label(8, 'bug', 'Status/Ready');
    expect(await stage.sync(agent)).toEqual({ warnings: [], synced: 1 });
    const issues = await stored();
    expect(issues).toHaveLength(120);
    expect(issues[6]).toMatchObject({ number: 7, state: 'closed', closed_at: expect.any(Date) });
    expect(issues[7]).toMatchObject({
      url: `https://github.com/${fullName}/issues/8`,
      labels: ['bug', 'Status/Ready'],
      label_keys: ['bug', 'status/ready'],
    });
    expect(stage.fake.requests).toHaveLength(3);
  });

  test('an agent without repositories has nothing to sync', async () => {
    const idle = await stage.agent(`idle-${count}`);
    expect(await stage.sync(idle)).toEqual({ warnings: [], synced: 0 });
    expect(stage.fake.requests).toEqual([]);
  });

  test('a title that the database cannot hold is stored without what it cannot', async () => {
    stage.fake.repo(fullName).open({ title: 'a\u0000b\ud83d' });
    await stage.sync(agent);
    expect((await stored())[0]?.title).toBe('ab\ufffd');
  });

  test('a page with NULs in labels, or with an issue twice, fails nothing', async () => {
    stage.fake.repo(fullName, { issues: 2 });
    const listed = await fetch(
      `${stage.fake.url}/repos/${fullName}/issues?state=all&direction=asc`,
    );
    const [one, two] = (await listed.json()) as { updated_at: string; title: string }[];
    const odd = { ...one, labels: ['a\u0000b\ud83d'] };
    const newer = { ...two, title: 'newer', updated_at: '2099-01-01T00:00:00Z' };
    stage.fake.fault({ kind: 'body', path: /issues/, body: [odd, newer, two] });
    expect(await stage.sync(agent)).toEqual({ warnings: [], synced: 1 });
    expect(await stored()).toMatchObject([{ labels: ['ab\ufffd'] }, { title: 'newer' }]);
  });

  test('takes up the letter case of the name upstream', async () => {
    stage.fake.repo(`Acme/Case-${count}`, { issues: 1 });
    const other = await stage.agent(`case-${count}`, `acme/case-${count}`);
    await stage.sync(other);
    expect(await stage.repo(`ACME/CASE-${count}`)).toMatchObject({
      owner: 'Acme',
      name: `Case-${count}`,
    });
  });
});

describe('the next sync', () => {
  test('makes no request within the window of freshness', async () => {
    stage.fake.repo(fullName, { issues: 1 });
    await stage.sync(agent);
    stage.fake.requests.splice(0);
    await stage.sync(agent);
    expect(stage.fake.requests).toEqual([]);
  });

  test('lists only what changed, and asks nothing else', async () => {
    const repo = stage.fake.repo(fullName, { issues: 250 });
    stage.fake.clock.advance(3_600_000);
    await stage.sync(agent);
    stage.fake.requests.splice(0);
    stage.fake.clock.advance(3_600_000);
    repo.close(3);
    await later();
    await stage.sync(agent);
    expect(stage.fake.requests).toHaveLength(1);
    expect((await stored())[2]?.state).toBe('closed');
  });

  test("reaches back five minutes before the last one, on GitHub's clock", async () => {
    stage.fake.clock.advance(86_400_000 * 30);
    stage.fake.repo(fullName, { issues: 1 });
    const before = stage.fake.clock.now().getTime();
    await stage.sync(agent);
    await later();
    await stage.sync(agent);
    const asked = new URL(listings().at(-1)?.path ?? '', 'http://x').searchParams.get('since');
    const behind = (Date.parse(asked ?? '') - before) / 1000;
    expect(behind).toBeGreaterThanOrEqual(-300);
    expect(behind).toBeLessThan(-290);
  });

  test('writes only the rows that changed', async () => {
    const repo = stage.fake.repo(fullName, { issues: 5 });
    await stage.sync(agent);
    const versions = async () => {
      const { id } = await stage.repo(fullName);
      const rows = await stage.db
        .selectFrom('issues')
        .select(['number', (eb) => eb.cast<string>(eb.ref('xmin' as 'id'), 'text').as('version')])
        .where('repo_id', '=', id)
        .orderBy('number')
        .execute();
      return rows.map((row) => row.version);
    };
    const before = await versions();
    stage.fake.clock.advance(10_000);
    repo.label(2, 'bug');
    await later();
    await stage.sync(agent);
    const after = await versions();
    expect(after.map((version, index) => version !== before[index])).toEqual([
      false,
      true,
      false,
      false,
      false,
    ]);
  });

  test('never replaces a newer state by an older one', async () => {
    stage.fake.repo(fullName, { issues: 1 });
    await stage.sync(agent);
    const future = new Date(stage.fake.clock.now().getTime() + 60_000);
    const { id } = await stage.repo(fullName);
    await stage.db
      .updateTable('issues')
      .set({ upstream_updated_at: future, title: 'newer' })
      .where('repo_id', '=', id)
      .execute();
    await later();
    await stage.sync(agent);
    expect((await stored())[0]).toMatchObject({ title: 'newer', upstream_updated_at: future });
  });

  test('notices a change that GitHub dates before the last listing', async () => {
    const repo = stage.fake.repo(fullName, { issues: 1 });
    stage.fake.clock.advance(200_000);
    await stage.sync(agent);
    stage.fake.clock.advance(-200_000);
    repo.close(1);
    stage.fake.clock.advance(200_000);
    await later();
    await stage.sync(agent);
    expect((await stored())[0]?.state).toBe('closed');
  });
});

describe('a whole listing', () => {
  test('is made once a day', async () => {
    stage.fake.repo(fullName, { issues: 1 });
    await stage.sync(agent);
    await later();
    await stage.sync(agent);
    await nextDay();
    await stage.sync(agent);
    expect(listings().map(({ path }) => path.includes('since='))).toEqual([false, true, false]);
  });

  test('notices deleted and transferred issues', async () => {
    stage.fake.repo('acme/elsewhere');
    const repo = stage.fake.repo(fullName, { issues: 4 });
    await stage.sync(agent);
    repo.delete(2);
    repo.transfer(3, 'acme/elsewhere');
    await nextDay();
    expect((await stage.sync(agent)).warnings).toEqual([]);
    expect((await stored()).map((issue) => issue.vanished_at !== null)).toEqual([
      false,
      true,
      true,
      false,
    ]);
  });

  test('looks an issue up before it takes it for gone', async () => {
    stage.fake.repo(fullName, { issues: 101 });
    await stage.sync(agent);
    await nextDay();
    // The second page is empty, as if its issues had slipped to the first one under the listing.
    stage.fake.fault({ kind: 'body', path: /page=2/, body: [] });
    await stage.sync(agent);
    expect(stage.fake.requests.at(-1)?.path).toBe(`/repos/${fullName}/issues/101`);
    expect((await stored()).filter((issue) => issue.vanished_at)).toEqual([]);
  });

  test('brings back an issue that is there again', async () => {
    stage.fake.repo(fullName, { issues: 1 });
    await stage.sync(agent);
    await stage.db.updateTable('issues').set({ vanished_at: new Date() }).execute();
    await nextDay();
    await stage.sync(agent);
    expect((await stored())[0]?.vanished_at).toBeNull();
  });
});

describe('a renamed repository', () => {
  test('is followed by a listing of changes, and keeps its issues', async () => {
    const repo = stage.fake.repo(fullName, { issues: 2 });
    await stage.sync(agent);
    const before = (await stored()).map((issue) => issue.id);
    stage.fake.clock.advance(10_000);
    repo.rename(`acme/renamed-${count}`);
    repo.close(1);
    await later();
    expect(await stage.sync(agent)).toEqual({ warnings: [], synced: 1 });
    const after = await stored(`acme/renamed-${count}`);
    expect(after.map((issue) => issue.id)).toEqual(before);
    expect(after[0]?.state).toBe('closed');
    stage.fake.requests.splice(0);
    await stage.age(`acme/renamed-${count}`, 120);
    await stage.sync(agent);
    expect(stage.fake.requests).toHaveLength(1);
  });

  test('is followed by a whole listing', async () => {
    const repo = stage.fake.repo(fullName, { issues: 2 });
    await stage.sync(agent);
    repo.rename(`acme/whole-${count}`);
    await nextDay();
    expect(await stage.sync(agent)).toEqual({ warnings: [], synced: 1 });
    expect(await stored(`acme/whole-${count}`)).toHaveLength(2);
  });

  test('whose new name is tracked already is a warning', async () => {
    const repo = stage.fake.repo(fullName, { issues: 1 });
    await stage.sync(agent);
    repo.rename(`acme/taken-${count}`);
    await stage.repo(`acme/taken-${count}`);
    await later();
    expect((await stage.sync(agent)).warnings).toEqual([
      expect.stringContaining(
        `sync issues: ${fullName}: It is called acme/taken-${count} now, which is tracked already. Untrack the old name.`,
      ),
    ]);
  });

  test('whose old name another repository took keeps no issue of the first', async () => {
    stage.fake.repo(fullName, { issues: 5 }).rename(`acme/first-${count}`);
    const other = await stage.agent(`other-${count}`, `acme/first-${count}`);
    await stage.sync(other);
    stage.fake.repo(`acme/first-${count}`).rename(`acme/away-${count}`);
    stage.fake.repo(`acme/first-${count}`, { issues: 2 });
    await stage.age(`acme/first-${count}`, 90_000);
    await stage.sync(other);
    expect((await stored(`acme/first-${count}`)).map((issue) => issue.number)).toEqual([1, 2]);
  });
});

test('a sync that takes longer than a heartbeat may wait goes on without it', async () => {
  stage.fake.repo(fullName, { issues: 150 });
  const held = stage.fake.fault({ kind: 'hold', path: /page=2/ });
  const hasty = stage.process({ settings: { waitMs: 50 } });
  expect(await stage.sync(agent, hasty)).toEqual({
    warnings: [
      `sync issues: ${fullName}: Its first sync is still under way; a later heartbeat will have its issues.`,
    ],
    synced: 0,
  });
  await held.reached;
  held.release();
  const done = async () => (await stage.repo(fullName)).synced_at;
  await expect.poll(done, { timeout: 20_000 }).not.toBeNull();
  expect(await stage.sync(agent, hasty)).toEqual({ warnings: [], synced: 1 });
  expect(await stored()).toHaveLength(150);
});
