import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Agent } from '../../../src/db/schema.ts';
import type { FaultKind } from '../../setup/github/faults.ts';
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
  stage.fake.repo(fullName, { issues: 1 });
  agent = await stage.agent(`agent-${count}`, fullName);
  stage.fake.requests.splice(0);
});
afterEach(() => {
  stage.fake.clearFaults();
  stage.fake.violations.splice(0);
});
afterAll(() => stage.close());

const faults: [what: string, fault: FaultKind, text: RegExp][] = [
  ['401', { kind: 'status', status: 401 }, /Set GITHUB_TOKEN to a valid token/],
  ['403', { kind: 'status', status: 403 }, /lacks a permission/],
  ['404', { kind: 'status', status: 404, message: 'Not Found' }, /does not find the repository/],
  ['410', { kind: 'status', status: 410 }, /gone for good/],
  ['500', { kind: 'status', status: 500 }, /failure of its own \(500\)/],
  ['503', { kind: 'status', status: 503 }, /failure of its own \(503\)/],
  ['a cut connection', { kind: 'cut' }, /could not be reached, or cut the connection/],
  ['a slow answer', { kind: 'hold' }, /did not answer in time/],
  ['a web page', { kind: 'web_page' }, /answers with a web page/],
];

describe('a failure is one warning that names step, repository and cause', () => {
  test.each(faults)('%s', async (_what, fault, text) => {
    stage.fake.fault({ ...fault, path: new RegExp(fullName) });
    const impatient = fault.kind === 'hold' ? { requestTimeoutMs: 300 } : {};
    const report = await stage.sync(agent, stage.process({ forge: impatient }));
    expect(report.warnings).toHaveLength(1);
    expect(report.warnings[0]).toMatch(new RegExp(`^sync issues: ${fullName}: `));
    expect(report.warnings[0]).toMatch(text);

    const requests = stage.fake.requests.length;
    expect(await stage.sync(agent)).toEqual(report);
    expect(stage.fake.requests).toHaveLength(requests);

    stage.fake.clearFaults();
    await stage.age(fullName, 60);
    expect(await stage.sync(agent)).toEqual({ warnings: [], synced: 1 });
  });

  test('each has a text of its own', async () => {
    const texts = new Set<string>();
    for (const [, fault] of faults.filter(([what]) => what !== 'a slow answer')) {
      const live = stage.fake.fault(fault);
      // In a process of its own: credentials that were refused are not used again.
      texts.add((await stage.sync(agent, stage.process())).warnings[0] ?? '');
      live.clear();
      await stage.age(fullName, 3600);
    }
    expect(texts.size).toBe(faults.length - 1);
  });

  test('a removed repository', async () => {
    await stage.sync(agent);
    stage.fake.repo(fullName).remove();
    await stage.age(fullName, 120);
    const { warnings } = await stage.sync(agent);
    expect(warnings).toEqual([expect.stringContaining('if it was removed, untrack it')]);
  });

  test('a repository whose issues were disabled', async () => {
    stage.fake.repo(fullName).disableIssues();
    const { warnings } = await stage.sync(agent);
    expect(warnings).toEqual([
      `sync issues: ${fullName}: Issues are disabled in the repository. Enable them in its settings, or untrack it.`,
    ]);
  });
});

describe('a failure in the middle', () => {
  test.each<FaultKind>([
    { kind: 'truncated' },
    { kind: 'cut_body' },
    { kind: 'status', status: 409 },
    { kind: 'body', body: {} },
  ])('of a listing moves no cursor and takes no issue for gone: %o', async (fault) => {
    const repo = stage.fake.repo(fullName, { issues: 150 });
    await stage.sync(agent);
    const before = await stage.repo(fullName);
    await stage.age(fullName, 90_000);
    repo.close(1);
    stage.fake.fault({ ...fault, path: /page=2/ });
    expect((await stage.sync(agent)).warnings).toHaveLength(1);
    expect((await stage.repo(fullName)).sync_cursor).toEqual(before.sync_cursor);
    const gone = await stage.db
      .selectFrom('issues')
      .select('id')
      .where('vanished_at', 'is not', null)
      .execute();
    expect(gone).toEqual([]);
  });

  test('of one repository leaves the others alone', async () => {
    const other = `acme/other-${count}`;
    stage.fake.repo(other, { issues: 1 });
    const both = await stage.agent(`both-${count}`, fullName, other);
    stage.fake.fault({ kind: 'status', status: 500, path: new RegExp(fullName) });
    expect(await stage.sync(both)).toEqual({
      warnings: [expect.stringContaining(`sync issues: ${fullName}:`)],
      synced: 1,
    });
  });
});

describe('rate limits', () => {
  test('are waited out by the stored time, without another request', async () => {
    const limited = stage.process();
    stage.fake.fault({ kind: 'secondary_limit', retryAfterSeconds: 100 });
    const { warnings } = await stage.sync(agent, limited);
    expect(warnings).toEqual([expect.stringMatching(/secondary rate limit/)]);
    stage.fake.clearFaults();
    await stage.age(fullName, 60);
    await stage.sync(agent);
    expect(stage.fake.requests).toHaveLength(1);
    await stage.age(fullName, 60);
    expect(await stage.sync(agent)).toEqual({ warnings: [], synced: 1 });
  });

  test('of one repository keep the others from asking with the same credentials', async () => {
    const names = Array.from({ length: 8 }, (_, index) => `acme/limited-${count}-${index}`);
    for (const name of names) stage.fake.repo(name, { issues: 1 });
    const many = await stage.agent(`many-${count}`, ...names);
    const own = stage.process();
    stage.fake.fault({ kind: 'primary_limit', resetSeconds: 600 });
    const { warnings } = await stage.sync(many, own);
    expect(warnings).toEqual([
      expect.stringMatching(/^sync issues: .* and 3 more: GitHub's hourly/),
    ]);
    // Four syncs run at once; whoever comes after the first refusal asks no more.
    expect(stage.fake.requests.length).toBeLessThanOrEqual(4);
  });

  test('refused credentials of one repository are not tried for the others', async () => {
    const names = Array.from({ length: 30 }, (_, index) => `acme/revoked-${count}-${index}`);
    for (const name of names) stage.fake.repo(name, { issues: 1 });
    const many = await stage.agent(`revoked-${count}`, ...names);
    const own = stage.process();
    stage.fake.fault({ kind: 'status', status: 401, message: 'Bad credentials' });
    const { warnings } = await stage.sync(many, own);
    expect(warnings).toEqual([
      expect.stringMatching(/ and 25 more: GitHub refused the credentials/),
    ]);
    // Four syncs run at once; whoever comes after the first refusal asks no more.
    expect(stage.fake.requests.length).toBeLessThanOrEqual(4);
    for (const name of names) await stage.age(name, 3600);
    await stage.sync(many, own);
    expect(stage.fake.requests.length).toBeLessThanOrEqual(4);
  });

  test('without credentials are one warning for all repositories', async () => {
    const names = Array.from({ length: 7 }, (_, index) => `acme/public-${count}-${index}`);
    for (const name of names) stage.fake.repo(name, { issues: 1 });
    const many = await stage.agent(`public-${count}`, ...names);
    const anonymous = stage.process({ forge: { auth: { kind: 'none' } } });
    stage.fake.fault({ kind: 'primary_limit', resetSeconds: 600 });
    const { warnings } = await stage.sync(many, anonymous);
    expect(warnings).toEqual([
      expect.stringMatching(
        /^sync issues: acme\/public-\d+-0, .* and 2 more: GitHub's limit for requests without credentials .* Set GITHUB_TOKEN/,
      ),
    ]);
  });

  test('without credentials public repositories can be read, without a warning', async () => {
    const anonymous = stage.process({ forge: { auth: { kind: 'none' } } });
    expect(await stage.sync(agent, anonymous)).toEqual({ warnings: [], synced: 1 });
    expect(stage.fake.requests.every(({ authorization }) => authorization === '')).toBe(true);
  });
});

test('a sync that never ends is given up and says so', async () => {
  stage.fake.repo(fullName, { issues: 150 });
  stage.fake.fault({ kind: 'hold', path: /page=2/ });
  const strict = stage.process({
    settings: { passTimeoutMs: 100 },
    forge: { requestTimeoutMs: 60_000 },
  });
  const { warnings } = await stage.sync(agent, strict);
  expect(warnings).toEqual([expect.stringMatching(/could not be read in time/)]);
});

test('a failure of our own is stored like any other, without its details', async () => {
  await stage.db.schema.alterTable('issues').renameColumn('title', 'titel').execute();
  const { warnings } = await stage.sync(agent);
  await stage.db.schema.alterTable('issues').renameColumn('titel', 'title').execute();
  expect(warnings).toEqual([
    `sync issues: ${fullName}: It failed unexpectedly and is tried again; if it stays, look in the server's log.`,
  ]);
});

test('a heartbeat that is stopped stops waiting at once', async () => {
  const held = stage.fake.fault({ kind: 'hold' });
  const controller = new AbortController();
  const waiting = stage.sync(agent, stage, controller.signal);
  await held.reached;
  controller.abort(new Error('the pass is over'));
  await expect(waiting).rejects.toThrow('the pass is over');
});
