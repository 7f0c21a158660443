import { expect, test } from 'vitest';
import { takeWriteTurn } from '../../../src/db/queries/label-queue.ts';
import { reconcileIssues } from '../../../src/services/reconcile/reconcile-issues.ts';
import { reconcileScene } from '../../setup/github/scene.ts';
import { never } from '../../setup/github/stage.ts';
import { until } from '../../setup/until.ts';

const scene = reconcileScene();
const { deps, claim, url, writes } = scene;

/** Agents with a claim each, whose labels are to be written. */
async function crowd(total: number) {
  for (let index = 0; index < total; index += 1) scene.repo.open();
  await scene.stage.sync(scene.agent);
  const agents = [];
  for (let number = 1; number <= total; number += 1) {
    const agent = await scene.stage.agent(`crowd-${scene.count}-${number}`, scene.fullName);
    await claim(number, agent);
    agents.push(agent);
  }
  scene.stage.fake.requests.splice(0);
  return agents;
}

test('labels get on with many agents, each of which waits for too short', async () => {
  const agents = await crowd(30);
  const own = deps(scene.stage, { writeIntervalMs: 20, writeBudgetMs: 5 });
  const rounds = async () => {
    const before = writes().length;
    await Promise.all(agents.map((agent) => reconcileIssues(own, agent, { signal: never })));
    return before;
  };
  await rounds();
  await until('every label was written', async () => {
    await rounds();
    return writes().length === 30;
  });
  for (let number = 1; number <= 30; number += 1) {
    expect(scene.repo.labels(number)).toEqual([
      `agent/crowd-${scene.count}-${number}`,
      'status/in-progress',
    ]);
  }
});

test('heartbeats that gave up keep no place, and what they queued is written once', async () => {
  const agents = await crowd(10);
  const own = deps(scene.stage, { writeBudgetMs: 60_000 });
  const held = scene.stage.fake.fault({ kind: 'hold', method: 'POST', times: 1 });
  const controllers = agents.map(() => new AbortController());
  const passes = agents.map((agent, index) =>
    reconcileIssues(own, agent, { signal: controllers[index]!.signal }),
  );
  const ended = Promise.allSettled(passes);
  await held.reached;
  await until('all are queued', async () => {
    const rows = await scene.stage.db
      .selectFrom('issue_claims')
      .select('id')
      .where('labels_due_at', 'is not', null)
      .execute();
    return rows.length === 10;
  });
  for (const controller of controllers) controller.abort(new Error('the pass is over'));
  expect((await ended).every(({ status }) => status === 'rejected')).toBe(true);
  held.release();
  await until('every label was written', () => writes().length === 10);
  expect((await reconcileIssues(own, agents[9]!, { signal: never })).warnings).toEqual([]);
  expect(writes()).toHaveLength(10);
});

test('credentials that are refused end the writing, with one request and one warning', async () => {
  const agents = await crowd(10);
  const own = deps(scene.stage.process());
  scene.stage.fake.fault({ kind: 'status', status: 401, message: 'Bad credentials' });
  for (const agent of agents) {
    const { warnings } = await reconcileIssues(own, agent, { signal: never });
    expect(warnings).toEqual([expect.stringContaining('GitHub refused the credentials (401)')]);
  }
  expect(writes()).toHaveLength(1);
});

test('the turn to write is one for all processes with the same credentials', async () => {
  const { db } = scene.stage;
  const hour = { credential: `shared-${scene.count}`, seconds: 3600 };
  expect(await takeWriteTurn(db, hour)).toBe(0);
  expect(await takeWriteTurn(scene.stage.process().db, hour)).toBeGreaterThan(3_000_000);
  expect(await takeWriteTurn(db, { ...hour, credential: `other-${scene.count}` })).toBe(0);
  await db
    .updateTable('forge_turns')
    .set({ next_write_at: new Date(Date.now() - 1000) })
    .where('credential', '=', hour.credential)
    .execute();
  const both = await Promise.all([takeWriteTurn(db, hour), takeWriteTurn(db, hour)]);
  expect(both.filter((waitMs) => waitMs === 0)).toHaveLength(1);
});

test('a writer that closes leaves its issue to the next at once', async () => {
  const [agent] = await crowd(1);
  const own = deps();
  const held = scene.stage.fake.fault({ kind: 'hold', method: 'POST', times: 1 });
  const pass = reconcileIssues(own, agent!, { signal: never });
  await held.reached;
  await own.writer.close();
  await pass;
  expect(await reconcileIssues(deps(), agent!, { signal: never })).toMatchObject({
    labelled: 1,
    touchedIssueUrls: [url(1)],
  });
});
