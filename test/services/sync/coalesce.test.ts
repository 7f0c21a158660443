import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { setStage, type Stage } from '../../setup/github/stage.ts';

let stage: Stage;
const children: ChildProcess[] = [];

beforeEach(async () => {
  stage = await setStage();
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await stage.close();
});

const patient = { timeout: 20_000 };
const listings = () => stage.fake.requests.filter(({ path }) => path.includes('/issues?'));

async function countIssues(): Promise<number> {
  const rows = await stage.db.selectFrom('issues').select('id').execute();
  return rows.length;
}

describe('one sync for all', () => {
  test('heartbeats of one process share it', async () => {
    stage.fake.repo('acme/app', { issues: 1 });
    const agents = await Promise.all(
      Array.from({ length: 10 }, (_, index) => stage.agent(`a${index}`, 'acme/app')),
    );
    const reports = await Promise.all(agents.map((agent) => stage.sync(agent)));
    expect(reports).toEqual(agents.map(() => ({ warnings: [], synced: 1 })));
    expect(listings()).toHaveLength(1);
  });

  test('processes share it: whoever is first syncs, the others wait for the outcome', async () => {
    stage.fake.repo('acme/app', { issues: 250 });
    const agent = await stage.agent('builder', 'acme/app');
    const others = Array.from({ length: 3 }, () => stage.process());
    const reports = await Promise.all([stage, ...others].map((on) => stage.sync(agent, on)));
    expect(reports).toEqual(Array.from({ length: 4 }, () => ({ warnings: [], synced: 1 })));
    expect(listings()).toHaveLength(3);
    expect(await countIssues()).toBe(250);
  });

  test('with issues stored, another process does not wait for a sync under way', async () => {
    stage.fake.repo('acme/app', { issues: 1 });
    const agent = await stage.agent('builder', 'acme/app');
    await stage.sync(agent);
    await stage.age('acme/app', 120);
    const held = stage.fake.fault({ kind: 'hold' });
    const slow = stage.sync(agent);
    await held.reached;
    const other = stage.process({ settings: { waitMs: 600_000 } });
    // What is stored is two minutes old, which is no reason to warn, but not up to date either.
    expect(await stage.sync(agent, other)).toEqual({ warnings: [], synced: 0 });
    held.release();
    expect(await slow).toEqual({ warnings: [], synced: 1 });
  });

  test('a failure is shared as well: one request, a warning to every agent', async () => {
    const agents = await Promise.all(
      ['a', 'b', 'c'].map((name) => stage.agent(name, 'acme/missing')),
    );
    const other = stage.process();
    const first = await stage.sync(agents[0]!);
    expect(first.warnings).toHaveLength(1);
    expect(await stage.sync(agents[1]!)).toEqual(first);
    expect(await stage.sync(agents[2]!, other)).toEqual(first);
    expect(stage.fake.requests).toHaveLength(1);
  });

  test('requests follow repositories and time, not agents: 1,000 agents on 20 repositories', async () => {
    const names = Array.from({ length: 20 }, (_, index) => `acme/repo-${index}`);
    for (const name of names) stage.fake.repo(name, { issues: 3 });
    const first = await stage.agent('agent-0', ...names);
    await stage.sync(first);
    const byOne = stage.fake.requests.length;
    expect(byOne).toBe(40);

    const ids = (await Promise.all(names.map((name) => stage.repo(name)))).map(({ id }) => id);
    await manyAgents(stage, 1000, ids);
    const agents = await stage.db.selectFrom('agents').selectAll().execute();
    const on = [stage, stage.process()];
    const round = async () => {
      stage.fake.requests.splice(0);
      for (let index = 0; index < agents.length; index += 32) {
        const some = agents.slice(index, index + 32);
        await Promise.all(some.map((agent, i) => stage.sync(agent, on[i % 2])));
      }
      return stage.fake.requests.length;
    };
    expect(await round()).toBe(0);
    for (const name of names) await stage.age(name, 120);
    expect(await round()).toBe(20);
  });
});

async function manyAgents({ db }: Stage, total: number, repoIds: string[]): Promise<void> {
  const agents = Array.from({ length: total }, (_, index) => ({
    id: `00000000-0000-7000-8000-${String(index).padStart(12, '0')}`,
    name: `crowd-${index}`,
  }));
  await db.insertInto('agents').values(agents).execute();
  const tracked = agents.flatMap(({ id }) => repoIds.map((repo_id) => ({ agent_id: id, repo_id })));
  await db.insertInto('agent_repos').values(tracked).execute();
}

describe('a holder that disappears', () => {
  test('killed in mid-sync: the lease runs out, the next one goes on where it was', async () => {
    stage.fake.repo('acme/app', { issues: 150 });
    const agent = await stage.agent('builder', 'acme/app');
    const { id } = await stage.repo('acme/app');
    const held = stage.fake.fault({ kind: 'hold', path: /page=2/, times: 1 });
    const child = spawn(process.execPath, [
      join(import.meta.dirname, '../../setup/github/sync-child.ts'),
      stage.databaseUrl,
      stage.fake.url,
      id,
    ]);
    children.push(child);
    await held.reached;
    await expect.poll(countIssues, patient).toBe(100);
    child.kill('SIGKILL');
    await new Promise((gone) => child.once('exit', gone));

    const hasty = stage.process({ settings: { waitMs: 50 } });
    const meanwhile = await stage.sync(agent, hasty);
    expect(meanwhile.warnings).toEqual([expect.stringContaining('first sync is still under way')]);
    expect(await stage.repo('acme/app')).toMatchObject({ sync_cursor: null, synced_at: null });

    await stage.age('acme/app', 60);
    expect(await stage.sync(agent)).toEqual({ warnings: [], synced: 1 });
    expect(await countIssues()).toBe(150);
  });

  test('paused past its lease: nothing that it writes counts any more', async () => {
    stage.fake.repo('acme/app', { issues: 150 });
    const agent = await stage.agent('builder', 'acme/app');
    const hold = { kind: 'hold', path: /page=2/, times: 1 } as const;
    const first = stage.fake.fault(hold);
    const paused = stage.process({ settings: { waitMs: 50 } });
    await stage.sync(agent, paused);
    await first.reached;
    await expect.poll(countIssues, patient).toBe(100);

    await stage.age('acme/app', 60);
    const second = stage.fake.fault(hold);
    const current = stage.sync(agent);
    await second.reached;
    const before = await stage.repo('acme/app');
    first.release();
    await expect.poll(() => paused.syncDeps.flights.has(before.id), patient).toBe(false);
    expect(await countIssues()).toBe(100);
    expect(await stage.repo('acme/app')).toEqual(before);

    second.release();
    expect(await current).toEqual({ warnings: [], synced: 1 });
    expect(await countIssues()).toBe(150);
  });

  test('that comes back when all is done leaves it as it is', async () => {
    stage.fake.repo('acme/app', { issues: 150 });
    const agent = await stage.agent('builder', 'acme/app');
    const held = stage.fake.fault({ kind: 'hold', path: /page=2/, times: 1 });
    const late = stage.sync(agent, stage.process());
    await held.reached;
    await stage.age('acme/app', 60);
    await stage.sync(agent);
    const before = await stage.repo('acme/app');
    held.release();
    expect(await late).toEqual({ warnings: [], synced: 1 });
    expect(await stage.repo('acme/app')).toEqual(before);
  });

  test('that closes in good order leaves the lease to the next at once', async () => {
    stage.fake.repo('acme/app', { issues: 150 });
    const agent = await stage.agent('builder', 'acme/app');
    const held = stage.fake.fault({ kind: 'hold', path: /page=2/, times: 1 });
    const closing = stage.process();
    const cut = stage.sync(agent, closing);
    await held.reached;
    await closing.syncDeps.flights.close();
    expect((await cut).warnings).toEqual([expect.stringContaining('first sync')]);
    expect(await stage.repo('acme/app')).toMatchObject({
      lease_until: null,
      failure_kind: null,
      sync_cursor: null,
    });
    expect(await stage.sync(agent)).toEqual({ warnings: [], synced: 1 });
  });
});
