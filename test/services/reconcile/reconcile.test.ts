import { describe, expect, test } from 'vitest';
import { reconcileIssues } from '../../../src/services/reconcile/reconcile-issues.ts';
import { minutesAgo, quiet, reconcileScene } from '../../setup/github/scene.ts';
import { never } from '../../setup/github/stage.ts';

const scene = reconcileScene();
const { mine, url, reconcile, syncLater, issueId, claim, claims, ageClaim } = scene;

describe('nothing to do', () => {
  test('costs no request and touches nothing', async () => {
    scene.repo.open({ labels: ['bug', 'status/ready'] });
    await scene.stage.sync(scene.agent);
    scene.stage.fake.requests.splice(0);
    expect(await reconcile()).toEqual(quiet);
    expect(scene.stage.fake.requests).toEqual([]);
  });

  test("a person's bare assignment is not a claim and is left alone", async () => {
    scene.repo.open({ labels: [mine()] });
    scene.repo.open({ labels: ['status/in-progress'] });
    await scene.stage.sync(scene.agent);
    expect(await reconcile()).toEqual(quiet);
    expect(await claims(1)).toEqual([]);
    expect(scene.repo.labels(1)).toEqual([mine()]);
  });
});

describe('a claim of a session', () => {
  test('is shown by labels, beside those of people', async () => {
    scene.repo.open({ labels: ['bug', 'status/ready'] });
    await scene.stage.sync(scene.agent);
    await claim(1);
    expect(await reconcile()).toEqual({ ...quiet, touchedIssueUrls: [url(1)], labelled: 1 });
    expect(scene.repo.labels(1)).toEqual([mine(), 'bug', 'status/in-progress']);
    expect(await reconcile()).toEqual(quiet);
    await syncLater();
    expect(await reconcile()).toEqual(quiet);
  });

  test('ends with the issue, whose labels follow', async () => {
    scene.repo.open({ labels: ['bug'] });
    await scene.stage.sync(scene.agent);
    await claim(1);
    await reconcile();
    scene.repo.close(1);
    await syncLater();
    expect(await reconcile()).toEqual({
      ...quiet,
      touchedIssueUrls: [url(1)],
      released: 1,
      labelled: 1,
    });
    expect(scene.repo.labels(1)).toEqual(['bug', 'status/done']);
    expect(await claims(1)).toMatchObject([
      { release_reason: 'issue_closed', labels_settled_at: expect.any(Date) },
    ]);
    await syncLater();
    expect(await reconcile()).toEqual(quiet);
  });

  test('without a live session is released after the grace', async () => {
    scene.repo.open();
    await scene.stage.sync(scene.agent);
    await claim(1);
    await reconcile();
    await ageClaim(1, 59);
    expect((await reconcile()).released).toBe(0);
    await ageClaim(1, 61);
    expect(await reconcile()).toMatchObject({ released: 1, touchedIssueUrls: [url(1)] });
    expect(scene.repo.labels(1)).toEqual(['status/ready']);
    expect(await claims(1)).toMatchObject([{ release_reason: 'no_live_session' }]);
    await syncLater();
    expect(await reconcile()).toEqual(quiet);
  });

  test('ends without a request when the issue is gone', async () => {
    scene.repo.open();
    await scene.stage.sync(scene.agent);
    await claim(1);
    await reconcile();
    scene.repo.delete(1);
    await scene.stage.age(scene.fullName, 90_000);
    await scene.stage.sync(scene.agent);
    scene.stage.fake.requests.splice(0);
    expect(await reconcile()).toMatchObject({ warnings: [], released: 1, labelled: 0 });
    expect(scene.stage.fake.requests).toEqual([]);
    expect(await reconcile()).toEqual(quiet);
  });

  test('of an issue that upstream deleted a moment ago ends with the next pass', async () => {
    scene.repo.open();
    await scene.stage.sync(scene.agent);
    await claim(1);
    scene.repo.delete(1);
    expect(await reconcile()).toEqual(quiet);
    expect(await reconcile()).toMatchObject({ warnings: [], released: 1 });
    expect(await claims(1)).toMatchObject([{ release_reason: 'issue_gone' }]);
  });

  test('of an agent named in other letter case upstream is not labelled twice', async () => {
    scene.repo.open({ labels: [mine().toUpperCase(), 'STATUS/IN-PROGRESS'] });
    await scene.stage.sync(scene.agent);
    await claim(1);
    expect(await reconcile()).toEqual(quiet);
  });
});

describe('a claim made by labels', () => {
  test('is adopted, and costs no request', async () => {
    scene.repo.open({ labels: ['status/in-progress', mine(), 'bug'] });
    await scene.stage.sync(scene.agent);
    scene.stage.fake.requests.splice(0);
    expect(await reconcile()).toEqual({ ...quiet, touchedIssueUrls: [url(1)], adopted: 1 });
    expect(await claims(1)).toMatchObject([{ source: 'label', session_id: null }]);
    expect(scene.stage.fake.requests).toEqual([]);
    expect(await reconcile()).toEqual(quiet);
  });

  test('goes stale when nothing happens upstream for the grace', async () => {
    scene.repo.open({ labels: ['status/in-progress', mine()] });
    await scene.stage.sync(scene.agent);
    await reconcile();
    await ageClaim(1, 90);
    await scene.stage.sync(scene.agent);
    scene.stage.fake.clock.advance(600_000);
    scene.repo.retitle(1, 'a sign of life');
    await syncLater();
    expect((await reconcile()).released).toBe(0);

    await ageClaim(1, 90);
    await scene.stage.age(scene.fullName, 120);
    expect((await reconcile()).released).toBe(1);
    expect(scene.repo.labels(1)).toEqual(['status/ready']);
    await syncLater();
    expect(await reconcile()).toEqual(quiet);
  });

  test('does not go stale while upstream cannot be asked', async () => {
    scene.repo.open({ labels: ['status/in-progress', mine()] });
    await scene.stage.sync(scene.agent);
    await reconcile();
    await ageClaim(1, 90);
    await scene.stage.age(scene.fullName, 90 * 60);
    expect((await reconcile()).released).toBe(0);
  });

  test('ends when a person takes a label away, and is not put back', async () => {
    scene.repo.open({ labels: ['status/in-progress', mine()] });
    await scene.stage.sync(scene.agent);
    await reconcile();
    scene.stage.fake.clock.advance(10_000);
    scene.repo.unlabel(1, 'status/in-progress');
    await syncLater();
    scene.stage.fake.requests.splice(0);
    expect(await reconcile()).toEqual({ ...quiet, touchedIssueUrls: [url(1)], released: 1 });
    expect(scene.stage.fake.requests).toEqual([]);
    expect(scene.repo.labels(1)).toEqual([mine()]);
  });

  test("of two agents at once is the first one's", async () => {
    const other = await scene.stage.agent(`other-${scene.count}`, scene.fullName);
    scene.repo.open({ labels: ['status/in-progress', mine(), `agent/other-${scene.count}`] });
    await scene.stage.sync(scene.agent);
    const reports = await Promise.all([
      reconcile(),
      reconcileIssues(scene.deps(), other, { signal: never }),
    ]);
    expect(reports.map(({ adopted }) => adopted).sort()).toEqual([0, 1]);
    expect(await claims(1)).toHaveLength(1);
  });

  test("in a repository that the agent does not track is nobody's", async () => {
    const elsewhere = `acme/elsewhere-${scene.count}`;
    scene.stage.fake.repo(elsewhere).open({ labels: ['status/in-progress', mine()] });
    await scene.stage.sync(await scene.stage.agent(`tracker-${scene.count}`, elsewhere));
    expect(await reconcile()).toEqual(quiet);
  });

  test('ends when the agent no longer tracks the repository, whose labels stay', async () => {
    scene.repo.open({ labels: ['status/in-progress', mine()] });
    await scene.stage.sync(scene.agent);
    await reconcile();
    await scene.stage.agent(`builder-${scene.count}`);
    scene.stage.fake.requests.splice(0);
    expect(await reconcile()).toEqual({ ...quiet, touchedIssueUrls: [url(1)], released: 1 });
    expect(scene.stage.fake.requests).toEqual([]);
    expect(await reconcile()).toEqual(quiet);
  });

  test('is not adopted anew while the labels of its release are still on their way', async () => {
    scene.repo.open({ labels: ['status/in-progress', mine()] });
    await scene.stage.sync(scene.agent);
    await reconcile();
    await ageClaim(1, 90);
    scene.stage.fake.fault({ kind: 'status', status: 500, method: 'DELETE' });
    expect((await reconcile()).released).toBe(1);
    scene.stage.fake.clearFaults();
    await scene.stage.age(scene.fullName, 60);
    await scene.stage.sync(scene.agent);
    expect(await reconcile()).toMatchObject({ adopted: 0, labelled: 1 });
    expect(scene.repo.labels(1)).toEqual(['status/ready']);
  });

  test('is not adopted by labels that are older than our own writing', async () => {
    scene.repo.open({ labels: ['status/in-progress', mine()] });
    await scene.stage.sync(scene.agent);
    await reconcile();
    await ageClaim(1, 90);
    await scene.stage.age(scene.fullName, 120);
    // A sync reads the page, we release and write labels, then the sync stores what it read.
    const held = scene.stage.fake.fault({ kind: 'hold', method: 'GET' });
    const slow = scene.stage.sync(scene.agent);
    await held.reached;
    expect((await reconcile()).labelled).toBe(1);
    await scene.stage.db
      .updateTable('issues')
      .set({ upstream_updated_at: minutesAgo(600) })
      .where('id', '=', await issueId(1))
      .execute();
    scene.stage.fake.clearFaults();
    await slow;
    const row = await scene.stage.db
      .selectFrom('issues')
      .selectAll()
      .where('id', '=', await issueId(1))
      .executeTakeFirst();
    expect(row?.labels).toContain(mine());
    expect(await reconcile()).toEqual(quiet);
    await syncLater();
    expect(await reconcile()).toEqual(quiet);
    expect(await claims(1)).toHaveLength(1);
  });
});

describe('an issue that another agent took over', () => {
  test('loses only the label of the first', async () => {
    const other = await scene.stage.agent(`other-${scene.count}`, scene.fullName);
    scene.repo.open();
    await scene.stage.sync(scene.agent);
    await claim(1);
    await reconcile();
    await scene.stage.db
      .updateTable('issue_claims')
      .set({ released_at: new Date(), release_reason: 'session_ended' })
      .where('agent_id', '=', scene.agent.id)
      .execute();
    await claim(1, other);
    expect(await reconcile()).toMatchObject({ labelled: 1, released: 0 });
    expect(scene.repo.labels(1)).toEqual(['status/in-progress']);
    expect(await reconcile()).toEqual(quiet);
  });
});
