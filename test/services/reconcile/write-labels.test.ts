import { describe, expect, test } from 'vitest';
import { newId } from '../../../src/services/ids.ts';
import type { FaultKind } from '../../setup/github/faults.ts';
import { minutesAgo, quiet, reconcileScene } from '../../setup/github/scene.ts';

const scene = reconcileScene();
const { mine, reconcile, issueId, claim, ageClaim, writes } = scene;

const tenClaims = async () => {
  for (let index = 0; index < 10; index += 1) scene.repo.open();
  await scene.stage.sync(scene.agent);
  for (let number = 1; number <= 10; number += 1) await claim(number);
  scene.stage.fake.requests.splice(0);
};

describe('writing labels', () => {
  test('is queued in Postgres: what one pass has no time for, the next one or anybody writes', async () => {
    await tenClaims();
    const slow = await reconcile(scene.stage, { writeIntervalMs: 600_000, writeBudgetMs: 300 });
    expect(slow.warnings).toEqual([
      expect.stringMatching(
        new RegExp(
          `^reconcile issues: ${scene.fullName}: The labels of (9|10) issues are still to be written: GitHub takes only so many a minute\\.`,
        ),
      ),
    ]);
    expect(writes().length).toBeLessThanOrEqual(1);
    await scene.stage.db.deleteFrom('forge_turns').execute();
    expect((await reconcile()).warnings).toEqual([]);
    for (let number = 1; number <= 10; number += 1) {
      expect(scene.repo.labels(number)).toEqual([mine(), 'status/in-progress']);
    }
  });

  test('ends when its time is over', async () => {
    await tenClaims();
    scene.stage.fake.fault({ kind: 'hold', path: /issues\/1\/labels/ });
    const report = await reconcile(scene.stage, { writeBudgetMs: 300 });
    expect(report.labelled).toBe(0);
    expect(report.warnings).toEqual([expect.stringContaining('The labels of 10 issues are still')]);
  });

  test('ends at once when the pass is stopped', async () => {
    await tenClaims();
    const held = scene.stage.fake.fault({ kind: 'hold', method: 'POST' });
    const controller = new AbortController();
    const stopped = reconcile(scene.stage, {}, controller.signal);
    await held.reached;
    controller.abort(new Error('the pass is over'));
    await expect(stopped).rejects.toThrow('the pass is over');
  });

  test('a failure is one warning for the repository, and waits before it tries again', async () => {
    await tenClaims();
    scene.stage.fake.fault({
      kind: 'status',
      status: 403,
      message: 'Resource not accessible by personal access token',
      method: 'POST',
    });
    const report = await reconcile();
    expect(report.warnings).toEqual([
      expect.stringMatching(
        new RegExp(`^reconcile issues: ${scene.fullName}: .*Grant it "Issues: read and write"`),
      ),
    ]);
    expect(writes()).toHaveLength(1);
    expect(await reconcile()).toEqual(report);
    expect(writes()).toHaveLength(1);
    scene.stage.fake.clearFaults();
    await scene.stage.age(scene.fullName, 60);
    expect(await reconcile()).toMatchObject({ warnings: [], labelled: 10 });
    expect(await scene.stage.repo(scene.fullName)).toMatchObject({ label_failure_kind: null });
  });

  test.each<[string, FaultKind, RegExp]>([
    ['rejected', { kind: 'status', status: 422 }, /rejected the labels/],
    ['not found', { kind: 'status', status: 404, message: 'Not Found' }, /does not find the issue/],
    ['a failure upstream', { kind: 'status', status: 500 }, /failure of its own/],
    ['a conflict', { kind: 'status', status: 409 }, /conflict/],
  ])('that fails (%s) keeps only its own issue waiting', async (_what, fault, text) => {
    await tenClaims();
    scene.stage.fake.fault({ ...fault, method: 'POST', path: /issues\/3\/labels/ });
    const report = await reconcile();
    expect(report.labelled).toBe(9);
    expect(report.warnings).toEqual([
      expect.stringMatching(new RegExp(`^reconcile issues: ${scene.fullName}#3: `)),
    ]);
    expect(report.warnings[0]).toMatch(text);
    const made = writes().length;
    expect((await reconcile()).warnings).toEqual(report.warnings);
    expect(writes()).toHaveLength(made);
    scene.stage.fake.clearFaults();
    await scene.stage.db
      .updateTable('issue_claims')
      .set({ labels_due_at: minutesAgo(1) })
      .execute();
    expect(await reconcile()).toMatchObject({ warnings: [], labelled: 1 });
  });

  test('that fails for several issues in a row waits for the whole repository', async () => {
    await tenClaims();
    const fault = scene.stage.fake.fault({ kind: 'status', status: 409, method: 'POST' });
    const report = await reconcile();
    expect(fault.hits).toBe(3);
    expect(report.warnings).toEqual([
      expect.stringMatching(new RegExp(`^reconcile issues: ${scene.fullName}: .*conflict`)),
    ]);
  });

  test('a spent limit stops the writing to all repositories', async () => {
    const other = `acme/zebra-${scene.count}`;
    scene.stage.fake.repo(other, { issues: 1 });
    scene.repo.open();
    // The same agent, told of one more repository.
    await scene.stage.agent(`builder-${scene.count}`, scene.fullName, other);
    await scene.stage.sync(scene.agent);
    await claim(1);
    const { id } = await scene.stage.db
      .selectFrom('issues')
      .innerJoin('repos', 'repos.id', 'issues.repo_id')
      .select('issues.id')
      .where('repos.name', '=', `zebra-${scene.count}`)
      .executeTakeFirstOrThrow();
    await scene.stage.db
      .insertInto('issue_claims')
      .values({ id: newId(), issue_id: id, agent_id: scene.agent.id, source: 'session' })
      .execute();
    scene.stage.fake.requests.splice(0);
    scene.stage.fake.fault({ kind: 'secondary_limit', retryAfterSeconds: 30 });
    const { warnings } = await reconcile(scene.stage.process());
    expect(warnings).toEqual([
      expect.stringContaining(`${scene.fullName}: GitHub asks to slow down`),
      expect.stringContaining(`${other}: The labels of 1 issue are still to be written`),
    ]);
    expect(writes()).toHaveLength(1);
  });

  test('is skipped without credentials, with one warning if there was something to write', async () => {
    const anonymous = scene.stage.process({ forge: { auth: { kind: 'none' } } });
    scene.repo.open();
    await scene.stage.sync(scene.agent);
    expect(await reconcile(anonymous)).toEqual(quiet);
    await claim(1);
    expect((await reconcile(anonymous)).warnings).toEqual([
      `reconcile issues: ${scene.fullName}: The labels of 1 issue are not written without credentials. Set GITHUB_TOKEN to a token that may write issues, or the three GITHUB_APP_… variables.`,
    ]);
    expect(scene.repo.labels(1)).toEqual([]);
  });

  test('in a repository renamed a moment ago follows it after the next sync', async () => {
    scene.repo.open();
    await scene.stage.sync(scene.agent);
    await claim(1);
    const renamed = `acme/renamed-${scene.count}`;
    scene.repo.rename(renamed);
    expect((await reconcile()).warnings).toEqual([
      `reconcile issues: ${scene.fullName}: The repository is called ${renamed} now; the next sync takes up that name.`,
    ]);
    await scene.stage.age(scene.fullName, 120);
    await scene.stage.sync(scene.agent);
    expect(await reconcile()).toMatchObject({ warnings: [], labelled: 1 });
    expect(scene.repo.labels(1)).toEqual([scene.mine(), 'status/in-progress']);
  });

  test('is not tried where the sync failed a moment ago', async () => {
    scene.repo.open();
    await scene.stage.sync(scene.agent);
    await claim(1);
    await scene.stage.age(scene.fullName, 120);
    scene.stage.fake.fault({ kind: 'status', status: 500 });
    await scene.stage.sync(scene.agent);
    scene.stage.fake.requests.splice(0);
    expect(await reconcile()).toEqual(quiet);
    expect(scene.stage.fake.requests).toEqual([]);
  });

  test('is made once by passes at the same time', async () => {
    await tenClaims();
    await Promise.all([reconcile(), reconcile(scene.stage.process()), reconcile()]);
    await reconcile();
    expect(writes()).toHaveLength(10);
    for (let number = 1; number <= 10; number += 1) {
      expect(scene.repo.labels(number)).toEqual([mine(), 'status/in-progress']);
    }
  });

  test('that was cut off between two requests is made good by the next pass', async () => {
    scene.repo.open({ labels: ['bug', 'status/in-progress', mine()] });
    await scene.stage.sync(scene.agent);
    await claim(1);
    await ageClaim(1, 61);
    const held = scene.stage.fake.fault({
      kind: 'hold',
      path: new RegExp(`${encodeURIComponent(mine())}$`),
      times: 1,
    });
    const controller = new AbortController();
    const cut = reconcile(scene.stage, {}, controller.signal);
    await held.reached;
    controller.abort(new Error('the pass is over'));
    await expect(cut).rejects.toThrow('the pass is over');
    expect(scene.repo.labels(1)).toContain('status/ready');
    expect(await reconcile()).toMatchObject({ labelled: 1, warnings: [] });
    expect(scene.repo.labels(1)).toEqual(['bug', 'status/ready']);
  });

  test('of a process that died is made good once its lease ran out', async () => {
    scene.repo.open();
    await scene.stage.sync(scene.agent);
    await claim(1);
    await scene.stage.db
      .updateTable('issues')
      .set({ label_lease_until: new Date(Date.now() + 60_000) })
      .where('id', '=', await issueId(1))
      .execute();
    expect((await reconcile()).labelled).toBe(0);
    await scene.stage.db
      .updateTable('issues')
      .set({ label_lease_until: minutesAgo(1) })
      .where('id', '=', await issueId(1))
      .execute();
    expect(await reconcile()).toMatchObject({ labelled: 1 });
  });
});
