import { describe, expect, test } from 'vitest';
import { directSessions } from '../../../src/db/queries/session-directives.ts';
import type { Agent } from '../../../src/db/schema.ts';
import { reconcileIssues } from '../../../src/services/reconcile/reconcile-issues.ts';
import { sweepClaims } from '../../../src/services/reconcile/sweep-claims.ts';
import { finishSession, interruptSession } from '../../../src/services/sessions/end.ts';
import { defaultSessionSettings } from '../../../src/services/sessions/settings.ts';
import { startSession } from '../../../src/services/sessions/start.ts';
import { watchSessions } from '../../../src/services/sessions/watch.ts';
import { quiet, reconcileScene } from '../../setup/github/scene.ts';
import { never } from '../../setup/github/stage.ts';
import { until } from '../../setup/until.ts';

const scene = reconcileScene();
const { mine, url, deps, reconcile, syncLater, claims, ageClaim } = scene;

const start = async (agent: Agent, issueUrl: string) => {
  const request = { agentName: agent.name, objective: 'work', issueUrl };
  return (await startSession(scene.stage.db, defaultSessionSettings, request)).session;
};
const finish = (id: string, outcome: 'completed' | 'failed' | 'cancelled') =>
  finishSession(scene.stage.db, defaultSessionSettings, id, { outcome });
const another = () => scene.stage.agent(`other-${scene.count}`, scene.fullName);
const refused = { code: 'issue_claimed' };

const sweep = () => sweepClaims(deps(), never);
const reconcileOf = (agent: Agent) => reconcileIssues(deps(), agent, { signal: never });
const setPaused = (agent: Agent, paused: boolean) =>
  scene.stage.db.updateTable('agents').set({ paused }).where('id', '=', agent.id).execute();
const watch = () => {
  const { db, syncDeps } = scene.stage;
  return watchSessions({ db, log: syncDeps.log, settings: defaultSessionSettings, batch: 100 });
};
const readSession = (id: string) =>
  scene.stage.db.selectFrom('sessions').selectAll().where('id', '=', id).executeTakeFirstOrThrow();

async function openAndSync(labels: string[] = []): Promise<void> {
  scene.repo.open({ labels });
  await scene.stage.sync(scene.agent);
}

describe('an issue is free for the next agent', () => {
  test.each(['completed', 'failed', 'cancelled'] as const)(
    'when the session on it ended as %s, though its agent never beats again',
    async (outcome) => {
      const other = await another();
      await openAndSync();
      const first = await start(scene.agent, url(1));
      await reconcile();
      await expect(start(other, url(1))).rejects.toMatchObject(refused);
      await finish(first.id, outcome);
      await start(other, url(1));
      expect(await claims(1)).toMatchObject([
        { agent_id: scene.agent.id, release_reason: 'no_live_session' },
        { agent_id: other.id, released_at: null },
      ]);
    },
  );

  test('but not while the session on it is to be resumed', async () => {
    const other = await another();
    await openAndSync();
    const first = await start(scene.agent, url(1));
    await interruptSession(scene.stage.db, first.id, { reason: 'a restart' });
    await expect(start(other, url(1))).rejects.toMatchObject(refused);
  });

  test('after the grace when its agent is gone, whoever looks', async () => {
    await openAndSync(['status/in-progress', mine()]);
    await reconcile();
    await ageClaim(1, 59);
    await syncLater();
    expect(await sweep()).toBe(0);
    await ageClaim(1, 61);
    expect(await sweep()).toBe(1);
    expect(await claims(1)).toMatchObject([{ release_reason: 'no_live_session' }]);
    expect(await sweep()).toBe(0);
  });

  test('after the grace when its agent is paused, and the work waits for the issue then', async () => {
    const other = await another();
    await openAndSync();
    const first = await start(scene.agent, url(1));
    await interruptSession(scene.stage.db, first.id, { reason: 'a restart' });
    await setPaused(scene.agent, true);
    expect(await sweep()).toBe(0);
    await expect(start(other, url(1))).rejects.toMatchObject(refused);
    await ageClaim(1, 61);
    const then = new Date(Date.now() - 3_660_000);
    await scene.stage.db
      .updateTable('sessions')
      .set({ ended_at: then })
      .where('id', '=', first.id)
      .execute();
    expect(await sweep()).toBe(1);
    const second = await start(other, url(1));

    await setPaused(scene.agent, false);
    await watch();
    expect((await readSession(first.id)).resume_at).not.toBeNull();
    await finish(second.id, 'failed');
    await watch();
    expect((await readSession(first.id)).resume_at).toBeNull();
    // The claim goes with the work again.
    expect((await reconcile()).warnings).toEqual([]);
    expect((await claims(1)).at(-1)).toMatchObject({ agent_id: scene.agent.id, released_at: null });
  });

  test('when it was closed and its agent never beats again', async () => {
    await openAndSync();
    await start(scene.agent, url(1));
    scene.repo.close(1);
    await syncLater();
    expect(await sweep()).toBe(1);
    expect(await claims(1)).toMatchObject([{ release_reason: 'issue_closed' }]);
  });
});

describe('an issue that is not stored yet', () => {
  test('is claimed as soon as it is, and until then every heartbeat says so', async () => {
    await openAndSync();
    const session = await start(scene.agent, url(2));
    expect((await reconcile()).warnings).toEqual([
      expect.stringMatching(
        new RegExp(`^reconcile issues: ${scene.fullName}: Session ${session.id} has no claim on `),
      ),
    ]);
    scene.stage.fake.clock.advance(10_000);
    scene.repo.open();
    await syncLater();
    expect(await reconcile()).toMatchObject({ warnings: [], touchedIssueUrls: [url(2)] });
    expect(await claims(2)).toMatchObject([{ session_id: session.id, source: 'session' }]);
    expect(scene.repo.labels(2)).toEqual([mine(), 'status/in-progress']);
  });

  test('has its labels written by the sweep, where no heartbeat does', async () => {
    await openAndSync();
    const session = await start(scene.agent, url(1));
    await reconcile();
    await finish(session.id, 'failed');
    await ageClaim(1, 61);
    const then = new Date(Date.now() - 3_660_000);
    await scene.stage.db
      .updateTable('sessions')
      .set({ ended_at: then })
      .where('id', '=', session.id)
      .execute();
    expect(await sweep()).toBe(1);
    await until('the labels followed', () => scene.repo.labels(1).join() === 'status/ready');
  });

  test('gets its claim by the sweep too', async () => {
    const session = await start(scene.agent, url(1));
    await openAndSync();
    await sweep();
    expect(await claims(1)).toMatchObject([{ session_id: session.id }]);
  });

  test('is said to be held by whoever claimed it first', async () => {
    const other = await another();
    await start(scene.agent, url(1));
    scene.repo.open({ labels: ['status/in-progress', `agent/${other.name}`] });
    await scene.stage.sync(other);
    await reconcileOf(other);
    expect((await reconcile()).warnings).toEqual([
      expect.stringContaining(`the agent "${other.name}" has claimed it`),
    ]);
  });

  test('of a repository that nobody tracks is nothing to speak of', async () => {
    await start(scene.agent, `https://github.com/acme/untracked-${scene.count}/issues/1`);
    await openAndSync();
    expect(await reconcile()).toEqual(quiet);
  });
});

describe('one issue under several addresses', () => {
  test('is claimed by each of them, and refused under each', async () => {
    const other = await another();
    await openAndSync();
    const session = await start(scene.agent, `${url(1).toUpperCase()}/#issuecomment-12`);
    expect(session.issue_url).toBe(`${url(1).toUpperCase()}/#issuecomment-12`);
    expect(await claims(1)).toMatchObject([{ session_id: session.id }]);
    for (const end of ['', '/', '#issuecomment-12', '?x=1', '/#top']) {
      await expect(start(other, url(1) + end)).rejects.toMatchObject(refused);
    }
    await expect(start(other, url(1).replace('issues', 'pull'))).rejects.toMatchObject(refused);
  });

  test('stays one when its repository is renamed', async () => {
    const other = await another();
    await openAndSync();
    const session = await start(scene.agent, url(1));
    const renamed = `acme/renamed-${scene.count}`;
    scene.repo.rename(renamed);
    await syncLater();
    const present = `https://github.com/${renamed}/issues/1`;
    await expect(start(other, present)).rejects.toMatchObject(refused);
    await expect(start(other, url(1))).rejects.toMatchObject(refused);
    await finish(session.id, 'failed');
    await start(other, url(1));
    await expect(start(scene.agent, present)).rejects.toMatchObject(refused);
    expect((await reconcileOf(other)).warnings).toEqual([]);
  });

  test('claimed under both names before the rename was noticed is told to the second', async () => {
    const other = await another();
    await openAndSync();
    await start(scene.agent, url(1));
    const renamed = `acme/renamed-${scene.count}`;
    scene.repo.rename(renamed);
    await start(other, `https://github.com/${renamed}/issues/1`);
    await syncLater();
    expect((await reconcileOf(other)).warnings).toEqual([
      expect.stringContaining(`the agent "${scene.agent.name}" has claimed it`),
    ]);
  });
});

describe('an issue that is opened again', () => {
  test('is no longer to be cancelled, and is claimed anew', async () => {
    await openAndSync();
    const session = await start(scene.agent, url(1));
    await reconcile();
    scene.stage.fake.clock.advance(10_000);
    scene.repo.close(1);
    await syncLater();
    await reconcile();
    const { db } = scene.stage;
    expect(await directSessions(db, scene.agent.id)).toMatchObject([{ id: session.id }]);
    expect(scene.repo.labels(1)).toEqual(['status/done']);

    scene.stage.fake.clock.advance(10_000);
    scene.repo.reopen(1);
    await syncLater();
    await reconcile();
    expect(await directSessions(db, scene.agent.id)).toEqual([]);
    expect(scene.repo.labels(1)).toEqual([mine(), 'status/in-progress']);
    await syncLater();
    expect(await reconcile()).toEqual(quiet);
  });

  test('is ready where nobody works on it', async () => {
    await openAndSync(['bug']);
    const session = await start(scene.agent, url(1));
    scene.stage.fake.clock.advance(10_000);
    scene.repo.close(1);
    await syncLater();
    await reconcile();
    await finish(session.id, 'completed');
    expect(scene.repo.labels(1)).toEqual(['bug', 'status/done']);
    scene.stage.fake.clock.advance(10_000);
    scene.repo.reopen(1);
    await syncLater();
    await reconcile();
    expect(scene.repo.labels(1)).toEqual(['bug', 'status/ready']);
    await syncLater();
    expect(await reconcile()).toEqual(quiet);
  });

  test('keeps the status that a person set at once', async () => {
    await openAndSync();
    const session = await start(scene.agent, url(1));
    scene.stage.fake.clock.advance(10_000);
    scene.repo.close(1);
    await syncLater();
    await reconcile();
    await finish(session.id, 'completed');
    scene.stage.fake.clock.advance(10_000);
    scene.repo.reopen(1);
    scene.repo.label(1, 'status/in-progress', mine());
    scene.repo.unlabel(1, 'status/done');
    await syncLater();
    await reconcile();
    await syncLater();
    expect((await reconcile()).released).toBe(0);
    expect(scene.repo.labels(1)).toEqual([mine(), 'status/in-progress']);
    expect((await claims(1)).at(-1)).toMatchObject({ source: 'label', released_at: null });
  });
});
