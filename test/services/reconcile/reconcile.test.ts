import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Agent, IssueClaim } from '../../../src/db/schema.ts';
import { newId } from '../../../src/services/ids.ts';
import {
  type ReconcileReport,
  reconcileIssues,
} from '../../../src/services/reconcile/reconcile-issues.ts';
import {
  defaultReconcileSettings,
  type ReconcileSettings,
} from '../../../src/services/reconcile/settings.ts';
import type { RepoHandle } from '../../setup/github/handle.ts';
import { never, type Process, setStage, type Stage } from '../../setup/github/stage.ts';

let stage: Stage;
let count = 0;
let fullName = '';
let repo: RepoHandle;
let agent: Agent;

beforeAll(async () => {
  stage = await setStage();
});
beforeEach(async () => {
  count += 1;
  fullName = `acme/app-${count}`;
  repo = stage.fake.repo(fullName);
  agent = await stage.agent(`builder-${count}`, fullName);
});
afterEach(() => {
  stage.fake.clearFaults();
  expect(stage.fake.violations).toEqual([]);
});
afterAll(() => stage.close());

const mine = () => `agent/builder-${count}`;
const url = (number: number) => `https://github.com/${fullName}/issues/${number}`;

function reconcile(
  on: Process = stage,
  settings: Partial<ReconcileSettings> = {},
  signal = never,
): Promise<ReconcileReport> {
  const { db, forge, syncDeps } = on;
  const deps = {
    db,
    forge,
    log: syncDeps.log,
    settings: { ...defaultReconcileSettings, ...settings },
  };
  return reconcileIssues(deps, agent, { signal });
}

/** Sync, as a heartbeat some minutes later would. */
async function syncLater(): Promise<void> {
  await stage.age(fullName, 120);
  await stage.sync(agent);
}

async function issueId(number: number): Promise<string> {
  const { id: repoId } = await stage.repo(fullName);
  const { id } = await stage.db
    .selectFrom('issues')
    .select('id')
    .where('repo_id', '=', repoId)
    .where('number', '=', number)
    .executeTakeFirstOrThrow();
  return id;
}

async function claim(number: number, by: Agent = agent): Promise<void> {
  await stage.db
    .insertInto('issue_claims')
    .values({ id: newId(), issue_id: await issueId(number), agent_id: by.id, source: 'session' })
    .execute();
}

async function claims(number: number): Promise<IssueClaim[]> {
  return await stage.db
    .selectFrom('issue_claims')
    .selectAll()
    .where('issue_id', '=', await issueId(number))
    .orderBy('id')
    .execute();
}

const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000);

/** As if the claim, and the last change seen of its issue, were so old. */
async function ageClaim(number: number, minutes: number): Promise<void> {
  const id = await issueId(number);
  const then = minutesAgo(minutes);
  await stage.db
    .updateTable('issue_claims')
    .set({ claimed_at: then })
    .where('issue_id', '=', id)
    .execute();
  await stage.db.updateTable('issues').set({ changed_at: then }).where('id', '=', id).execute();
}

const writes = () => stage.fake.requests.filter(({ method }) => method !== 'GET');
const quiet = { warnings: [], touchedIssueUrls: [], adopted: 0, released: 0, labelled: 0 };

const tenClaims = async () => {
  for (let index = 0; index < 10; index += 1) repo.open();
  await stage.sync(agent);
  for (let number = 1; number <= 10; number += 1) await claim(number);
  stage.fake.requests.splice(0);
};

describe('nothing to do', () => {
  test('costs no request and touches nothing', async () => {
    repo.open({ labels: ['bug', 'status/ready'] });
    await stage.sync(agent);
    stage.fake.requests.splice(0);
    expect(await reconcile()).toEqual(quiet);
    expect(stage.fake.requests).toEqual([]);
  });

  test("a person's bare assignment is not a claim and is left alone", async () => {
    repo.open({ labels: [mine()] });
    repo.open({ labels: ['status/in-progress'] });
    await stage.sync(agent);
    expect(await reconcile()).toEqual(quiet);
    expect(await claims(1)).toEqual([]);
    expect(repo.labels(1)).toEqual([mine()]);
  });
});

describe('a claim of a session', () => {
  test('is shown by labels, beside those of people', async () => {
    repo.open({ labels: ['bug', 'status/ready'] });
    await stage.sync(agent);
    await claim(1);
    expect(await reconcile()).toEqual({ ...quiet, touchedIssueUrls: [url(1)], labelled: 1 });
    expect(repo.labels(1)).toEqual([mine(), 'bug', 'status/in-progress']);
    expect(await reconcile()).toEqual(quiet);
    await syncLater();
    expect(await reconcile()).toEqual(quiet);
  });

  test('ends with the issue, whose labels follow', async () => {
    repo.open({ labels: ['bug'] });
    await stage.sync(agent);
    await claim(1);
    await reconcile();
    repo.close(1);
    await syncLater();
    expect(await reconcile()).toEqual({
      ...quiet,
      touchedIssueUrls: [url(1)],
      released: 1,
      labelled: 1,
    });
    expect(repo.labels(1)).toEqual(['bug', 'status/done']);
    expect(await claims(1)).toMatchObject([
      { release_reason: 'issue_closed', labels_settled_at: expect.any(Date) },
    ]);
    await syncLater();
    expect(await reconcile()).toEqual(quiet);
  });

  test('without a live session is released after the grace', async () => {
    repo.open();
    await stage.sync(agent);
    await claim(1);
    await reconcile();
    await ageClaim(1, 59);
    expect((await reconcile()).released).toBe(0);
    await ageClaim(1, 61);
    expect(await reconcile()).toMatchObject({ released: 1, touchedIssueUrls: [url(1)] });
    expect(repo.labels(1)).toEqual(['status/ready']);
    expect(await claims(1)).toMatchObject([{ release_reason: 'no_live_session' }]);
    await syncLater();
    expect(await reconcile()).toEqual(quiet);
  });

  test('ends without a request when the issue is gone', async () => {
    repo.open();
    await stage.sync(agent);
    await claim(1);
    await reconcile();
    repo.delete(1);
    await stage.age(fullName, 90_000);
    await stage.sync(agent);
    stage.fake.requests.splice(0);
    expect(await reconcile()).toMatchObject({ warnings: [], released: 1, labelled: 0 });
    expect(stage.fake.requests).toEqual([]);
    expect(await reconcile()).toEqual(quiet);
  });

  test('of an issue that upstream deleted a moment ago ends with the next pass', async () => {
    repo.open();
    await stage.sync(agent);
    await claim(1);
    repo.delete(1);
    expect(await reconcile()).toEqual(quiet);
    expect(await reconcile()).toMatchObject({ warnings: [], released: 1 });
    expect(await claims(1)).toMatchObject([{ release_reason: 'issue_gone' }]);
  });

  test('of an agent named in other letter case upstream is not labelled twice', async () => {
    repo.open({ labels: [mine().toUpperCase(), 'STATUS/IN-PROGRESS'] });
    await stage.sync(agent);
    await claim(1);
    expect(await reconcile()).toEqual(quiet);
  });
});

describe('a claim made by labels', () => {
  test('is adopted, and costs no request', async () => {
    repo.open({ labels: ['status/in-progress', mine(), 'bug'] });
    await stage.sync(agent);
    stage.fake.requests.splice(0);
    expect(await reconcile()).toEqual({ ...quiet, touchedIssueUrls: [url(1)], adopted: 1 });
    expect(await claims(1)).toMatchObject([{ source: 'label', session_id: null }]);
    expect(stage.fake.requests).toEqual([]);
    expect(await reconcile()).toEqual(quiet);
  });

  test('goes stale when nothing happens upstream for the grace', async () => {
    repo.open({ labels: ['status/in-progress', mine()] });
    await stage.sync(agent);
    await reconcile();
    await ageClaim(1, 90);
    await stage.sync(agent);
    stage.fake.clock.advance(600_000);
    repo.retitle(1, 'a sign of life');
    await syncLater();
    expect((await reconcile()).released).toBe(0);

    await ageClaim(1, 90);
    await stage.age(fullName, 120);
    expect((await reconcile()).released).toBe(1);
    expect(repo.labels(1)).toEqual(['status/ready']);
    await syncLater();
    expect(await reconcile()).toEqual(quiet);
  });

  test('does not go stale while upstream cannot be asked', async () => {
    repo.open({ labels: ['status/in-progress', mine()] });
    await stage.sync(agent);
    await reconcile();
    await ageClaim(1, 90);
    await stage.age(fullName, 90 * 60);
    expect((await reconcile()).released).toBe(0);
  });

  test('ends when a person takes a label away, and is not put back', async () => {
    repo.open({ labels: ['status/in-progress', mine()] });
    await stage.sync(agent);
    await reconcile();
    stage.fake.clock.advance(10_000);
    repo.unlabel(1, 'status/in-progress');
    await syncLater();
    stage.fake.requests.splice(0);
    expect(await reconcile()).toEqual({ ...quiet, touchedIssueUrls: [url(1)], released: 1 });
    expect(stage.fake.requests).toEqual([]);
    expect(repo.labels(1)).toEqual([mine()]);
  });

  test("of two agents at once is the first one's", async () => {
    const other = await stage.agent(`other-${count}`, fullName);
    repo.open({ labels: ['status/in-progress', mine(), `agent/other-${count}`] });
    await stage.sync(agent);
    const deps = {
      db: stage.db,
      forge: stage.forge,
      log: stage.syncDeps.log,
      settings: defaultReconcileSettings,
    };
    const reports = await Promise.all([
      reconcile(),
      reconcileIssues(deps, other, { signal: never }),
    ]);
    expect(reports.map(({ adopted }) => adopted).sort()).toEqual([0, 1]);
    expect(await claims(1)).toHaveLength(1);
  });

  test("in a repository that the agent does not track is nobody's", async () => {
    const elsewhere = `acme/elsewhere-${count}`;
    stage.fake.repo(elsewhere).open({ labels: ['status/in-progress', mine()] });
    await stage.sync(await stage.agent(`tracker-${count}`, elsewhere));
    expect(await reconcile()).toEqual(quiet);
  });

  test('is not adopted anew while the labels of its release are still on their way', async () => {
    repo.open({ labels: ['status/in-progress', mine()] });
    await stage.sync(agent);
    await reconcile();
    await ageClaim(1, 90);
    stage.fake.fault({ kind: 'status', status: 500, method: 'DELETE' });
    expect((await reconcile()).released).toBe(1);
    stage.fake.clearFaults();
    await stage.age(fullName, 60);
    await stage.sync(agent);
    expect(await reconcile()).toMatchObject({ adopted: 0, labelled: 1 });
    expect(repo.labels(1)).toEqual(['status/ready']);
  });

  test('is not adopted by labels that are older than our own writing', async () => {
    repo.open({ labels: ['status/in-progress', mine()] });
    await stage.sync(agent);
    await reconcile();
    await ageClaim(1, 90);
    await stage.age(fullName, 120);
    // A sync reads the page, we release and write labels, then the sync stores what it read.
    const held = stage.fake.fault({ kind: 'hold', method: 'GET' });
    const slow = stage.sync(agent);
    await held.reached;
    expect((await reconcile()).labelled).toBe(1);
    await stage.db
      .updateTable('issues')
      .set({ upstream_updated_at: minutesAgo(600) })
      .where('id', '=', await issueId(1))
      .execute();
    stage.fake.clearFaults();
    await slow;
    const row = await stage.db
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
    const other = await stage.agent(`other-${count}`, fullName);
    repo.open();
    await stage.sync(agent);
    await claim(1);
    await reconcile();
    await stage.db
      .updateTable('issue_claims')
      .set({ released_at: new Date(), release_reason: 'session_ended' })
      .where('agent_id', '=', agent.id)
      .execute();
    await claim(1, other);
    expect(await reconcile()).toMatchObject({ labelled: 1, released: 0 });
    expect(repo.labels(1)).toEqual(['status/in-progress']);
    expect(await reconcile()).toEqual(quiet);
  });
});

describe('writing labels', () => {
  test('is bounded; the next pass goes on', async () => {
    await tenClaims();
    const report = await reconcile(stage, { writesPerPass: 4 });
    expect(report.touchedIssueUrls).toEqual([1, 2, 3, 4].map(url));
    expect(report.warnings).toEqual([
      `reconcile issues: ${fullName}: The labels of 6 issues are still to be written; one pass writes only so many, so the next goes on.`,
    ]);
    expect(writes()).toHaveLength(4);
    await reconcile(stage, { writesPerPass: 4 });
    expect(await reconcile(stage, { writesPerPass: 4 })).toMatchObject({
      warnings: [],
      labelled: 2,
    });
  });

  test('one write that needs more than the bound is still made', async () => {
    repo.open({ labels: ['status/ready', 'status/done'] });
    await stage.sync(agent);
    await claim(1);
    expect(await reconcile(stage, { writesPerPass: 1 })).toMatchObject({
      warnings: [],
      labelled: 1,
    });
  });

  test('ends when its time is over', async () => {
    await tenClaims();
    stage.fake.fault({ kind: 'hold', path: /issues\/3\/labels/ });
    const report = await reconcile(stage, { writeBudgetMs: 300 });
    expect(report.labelled).toBe(2);
    expect(report.warnings).toEqual([expect.stringContaining('The labels of 8 issues are still')]);
  });

  test('ends at once when the pass is stopped', async () => {
    await tenClaims();
    const held = stage.fake.fault({ kind: 'hold', method: 'POST' });
    const controller = new AbortController();
    const stopped = reconcile(stage, {}, controller.signal);
    await held.reached;
    controller.abort(new Error('the pass is over'));
    await expect(stopped).rejects.toThrow('the pass is over');
  });

  test('a failure is one warning for the repository, and waits before it tries again', async () => {
    await tenClaims();
    stage.fake.fault({
      kind: 'status',
      status: 403,
      message: 'Resource not accessible by personal access token',
      method: 'POST',
    });
    const report = await reconcile();
    expect(report.warnings).toEqual([
      expect.stringMatching(
        new RegExp(`^reconcile issues: ${fullName}: .*Grant it "Issues: read and write"`),
      ),
    ]);
    expect(writes()).toHaveLength(1);
    expect(await reconcile()).toEqual(report);
    expect(writes()).toHaveLength(1);
    stage.fake.clearFaults();
    await stage.age(fullName, 60);
    expect(await reconcile()).toMatchObject({ warnings: [], labelled: 10 });
    expect(await stage.repo(fullName)).toMatchObject({ label_failure_kind: null });
  });

  test('a label that is rejected stops only its own issue, for a while', async () => {
    repo.open();
    repo.open({ labels: ['status/in-progress', mine(), 'status/ready'] });
    await stage.sync(agent);
    await claim(1);
    await claim(2);
    stage.fake.requests.splice(0);
    stage.fake.fault({ kind: 'status', status: 422, message: 'Validation Failed', method: 'POST' });
    const report = await reconcile();
    expect(report.warnings).toEqual([expect.stringContaining('at most 50 characters')]);
    await reconcile();
    expect(writes().filter(({ method }) => method === 'POST')).toHaveLength(1);
    expect(repo.labels(2)).toEqual([mine(), 'status/in-progress']);
  });

  test('a spent limit stops the writing to all repositories', async () => {
    const other = `acme/zebra-${count}`;
    stage.fake.repo(other, { issues: 1 });
    repo.open();
    agent = await stage.agent(`builder-${count}`, fullName, other);
    await stage.sync(agent);
    await claim(1);
    const { id } = await stage.db
      .selectFrom('issues')
      .innerJoin('repos', 'repos.id', 'issues.repo_id')
      .select('issues.id')
      .where('repos.name', '=', `zebra-${count}`)
      .executeTakeFirstOrThrow();
    await stage.db
      .insertInto('issue_claims')
      .values({ id: newId(), issue_id: id, agent_id: agent.id, source: 'session' })
      .execute();
    stage.fake.requests.splice(0);
    stage.fake.fault({ kind: 'secondary_limit', retryAfterSeconds: 30 });
    const { warnings } = await reconcile(stage.process());
    expect(warnings).toEqual([
      expect.stringContaining(`${fullName}: GitHub asks to slow down`),
      expect.stringContaining(`${other}: The labels of 1 issue are still to be written`),
    ]);
    expect(writes()).toHaveLength(1);
  });

  test('is skipped without credentials, with one warning if there was something to write', async () => {
    const anonymous = stage.process({ forge: { auth: { kind: 'none' } } });
    repo.open();
    await stage.sync(agent);
    expect(await reconcile(anonymous)).toEqual(quiet);
    await claim(1);
    expect((await reconcile(anonymous)).warnings).toEqual([
      `reconcile issues: ${fullName}: The labels of 1 issue are not written without credentials. Set GITHUB_TOKEN to a token that may write issues, or the three GITHUB_APP_… variables.`,
    ]);
    expect(repo.labels(1)).toEqual([]);
  });

  test('is not tried where the sync failed a moment ago', async () => {
    repo.open();
    await stage.sync(agent);
    await claim(1);
    await stage.age(fullName, 120);
    stage.fake.fault({ kind: 'status', status: 500 });
    await stage.sync(agent);
    stage.fake.requests.splice(0);
    expect(await reconcile()).toEqual(quiet);
    expect(stage.fake.requests).toEqual([]);
  });

  test('is made once by passes at the same time', async () => {
    await tenClaims();
    const reports = await Promise.all([reconcile(), reconcile(stage.process()), reconcile()]);
    expect(reports.map(({ labelled }) => labelled).reduce((a, b) => a + b)).toBe(10);
    expect(writes()).toHaveLength(10);
  });

  test('that was cut off between two requests is made good by the next pass', async () => {
    repo.open({ labels: ['bug', 'status/in-progress', mine()] });
    await stage.sync(agent);
    await claim(1);
    await ageClaim(1, 61);
    stage.fake.fault({
      kind: 'hold',
      path: new RegExp(`${encodeURIComponent(mine())}$`),
      times: 1,
    });
    const cut = await reconcile(stage, { writeBudgetMs: 200 });
    expect(cut).toMatchObject({ released: 1, labelled: 0 });
    expect(repo.labels(1)).toContain('status/ready');
    expect(await reconcile()).toMatchObject({ labelled: 1, warnings: [] });
    expect(repo.labels(1)).toEqual(['bug', 'status/ready']);
  });

  test('of a process that died is made good once its lease ran out', async () => {
    repo.open();
    await stage.sync(agent);
    await claim(1);
    await stage.db
      .updateTable('issues')
      .set({ label_lease_until: new Date(Date.now() + 60_000) })
      .where('id', '=', await issueId(1))
      .execute();
    expect(await reconcile()).toEqual(quiet);
    await stage.db
      .updateTable('issues')
      .set({ label_lease_until: minutesAgo(1) })
      .where('id', '=', await issueId(1))
      .execute();
    expect(await reconcile()).toMatchObject({ labelled: 1 });
  });
});
