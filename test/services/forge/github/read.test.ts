import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Forge, ForgeIssue, RepoName } from '../../../../src/services/forge/forge.ts';
import { type FakeGitHub, startFakeGitHub } from '../../../setup/github/fake.ts';
import { testForge } from '../../../setup/github/forge.ts';

let fake: FakeGitHub;
let forge: Forge;
const signal = new AbortController().signal;
const named = (fullName: string): RepoName => {
  const [owner = '', name = ''] = fullName.split('/');
  return { owner, name };
};

async function list(repo: RepoName, since?: Date): Promise<ForgeIssue[]> {
  const issues: ForgeIssue[] = [];
  const pages = forge.listIssues(repo, { signal, ...(since && { since }) });
  for await (const page of pages) issues.push(...page.issues);
  return issues;
}

beforeAll(async () => {
  fake = await startFakeGitHub();
  forge = testForge(fake.url);
});
beforeEach(() => fake.requests.splice(0));
afterEach(() => {
  fake.clearFaults();
  expect(fake.violations.splice(0)).toEqual([]);
});
afterAll(() => fake.close());

describe('listIssues', () => {
  test('reads every page, 100 at a time, oldest first', async () => {
    fake.repo('acme/pages', { issues: 250 });
    const issues = await list(named('acme/pages'));
    expect(issues.map((issue) => issue.number)).toEqual(
      Array.from({ length: 250 }, (_, i) => i + 1),
    );
    expect(fake.requests).toHaveLength(3);
    expect(fake.requests[0]?.path).toContain('per_page=100');
  });

  test('tells the page for people, times and labels', async () => {
    const repo = fake.repo('acme/fields');
    repo.open({ title: 'Crash', labels: ['bug', 'status/ready'] });
    repo.close(1);
    const [issue] = await list(named('acme/fields'));
    expect(issue).toMatchObject({
      number: 1,
      url: 'https://github.com/acme/fields/issues/1',
      title: 'Crash',
      state: 'closed',
      labels: ['bug', 'status/ready'],
    });
    expect(issue?.updatedAt).toEqual(issue?.closedAt);
  });

  test('leaves pull requests out', async () => {
    const repo = fake.repo('acme/pulls', { issues: 1 });
    repo.open({ isPullRequest: true });
    repo.open();
    expect((await list(named('acme/pulls'))).map((issue) => issue.number)).toEqual([1, 3]);
  });

  test('lists only what changed since', async () => {
    const repo = fake.repo('acme/since', { issues: 3 });
    fake.clock.advance(60_000);
    const since = fake.clock.now();
    repo.close(2);
    expect((await list(named('acme/since'), since)).map((issue) => issue.number)).toEqual([2]);
  });

  test("tells GitHub's clock, not ours", async () => {
    fake.repo('acme/clock', { issues: 1 });
    fake.clock.advance(86_400_000);
    for await (const page of forge.listIssues(named('acme/clock'), { signal })) {
      expect(page.servedAt?.getTime()).toBeGreaterThan(Date.now() + 80_000_000);
    }
  });

  test('an issue that changes during the listing is not missed', async () => {
    const repo = fake.repo('acme/moving', { issues: 201 });
    const seen = new Set<number>();
    for await (const page of forge.listIssues(named('acme/moving'), { signal })) {
      for (const issue of page.issues) seen.add(issue.number);
      fake.clock.advance(1000);
      repo.retitle(1, 'changed');
      repo.open();
    }
    const missed = Array.from({ length: 201 }, (_, i) => i + 1).filter((n) => !seen.has(n));
    expect(missed).toEqual([]);
  });

  test('stops in the middle of a page when told to', async () => {
    fake.repo('acme/abort', { issues: 150 });
    const held = fake.fault({ kind: 'hold', path: /page=2/ });
    const controller = new AbortController();
    const pages = forge.listIssues(named('acme/abort'), { signal: controller.signal });
    const iterator = pages[Symbol.asyncIterator]();
    expect((await iterator.next()).value?.issues).toHaveLength(100);
    const second = iterator.next();
    await held.reached;
    controller.abort(new Error('the step is over'));
    await expect(second).rejects.toThrow('the step is over');
    const before = fake.requests.length;
    held.release();
    expect(fake.requests.length).toBe(before);
  });
});

describe('a repository that moved', () => {
  test('is named by its listing', async () => {
    const repo = fake.repo('acme/old-name', { issues: 1 });
    repo.rename('acme/new-name');
    await expect(list(named('acme/old-name'))).rejects.toMatchObject({
      name: 'ForgeError',
      kind: 'moved',
      movedTo: { owner: 'acme', name: 'new-name' },
    });
    expect(await list(named('acme/new-name'))).toHaveLength(1);
  });

  test('is named by its answer, under the same upstream id', async () => {
    const repo = fake.repo('acme/before', { issues: 1 });
    const before = await forge.getRepo(named('acme/before'), { signal });
    repo.rename('elsewhere/after');
    const after = await forge.getRepo(named('acme/before'), { signal });
    expect(after).toEqual({ ...before, owner: 'elsewhere', name: 'after' });
    expect(after.upstreamId).toBe(String(repo.id));
  });

  test('another repository under the old name has another id', async () => {
    const first = fake.repo('acme/reused');
    first.rename('acme/reused-away');
    fake.repo('acme/reused');
    const { upstreamId } = await forge.getRepo(named('acme/reused'), { signal });
    expect(upstreamId).not.toBe(String(first.id));
  });

  test('an issue that was transferred is not taken for a renamed repository', async () => {
    fake.repo('acme/target');
    const repo = fake.repo('acme/source', { issues: 1 });
    repo.transfer(1, 'acme/target');
    await expect(forge.getIssue(named('acme/source'), 1, { signal })).rejects.toMatchObject({
      kind: 'moved',
      movedTo: undefined,
      message: 'The issue was transferred to another repository.',
    });
  });
});

describe('labels', () => {
  test('are added beside those of people, and taken away one by one', async () => {
    const repo = fake.repo('acme/labels');
    repo.open({ labels: ['bug'] });
    const at = named('acme/labels');
    await forge.addLabels(at, 1, ['status/in-progress', 'agent/builder'], { signal });
    expect(repo.labels(1)).toEqual(['agent/builder', 'bug', 'status/in-progress']);
    await forge.removeLabel(at, 1, 'agent/builder', { signal });
    expect(repo.labels(1)).toEqual(['bug', 'status/in-progress']);
  });

  test('can be written twice without harm', async () => {
    const repo = fake.repo('acme/twice', { issues: 1 });
    const at = named('acme/twice');
    await forge.addLabels(at, 1, ['x'], { signal });
    await forge.addLabels(at, 1, ['x'], { signal });
    await forge.removeLabel(at, 1, 'x', { signal });
    await forge.removeLabel(at, 1, 'x', { signal });
    expect(repo.labels(1)).toEqual([]);
  });

  test('with odd names reach the right label', async () => {
    const repo = fake.repo('acme/odd', { issues: 1 });
    const odd = 'größe: 50% / ä?#&';
    await forge.addLabels(named('acme/odd'), 1, [odd], { signal });
    expect(repo.labels(1)).toEqual([odd]);
    await forge.removeLabel(named('acme/odd'), 1, odd, { signal });
    expect(repo.labels(1)).toEqual([]);
  });

  test('of a deleted issue are an error', async () => {
    const repo = fake.repo('acme/deleted', { issues: 1 });
    repo.delete(1);
    const removal = forge.removeLabel(named('acme/deleted'), 1, 'x', { signal });
    await expect(removal).rejects.toMatchObject({ kind: 'gone' });
  });
});
