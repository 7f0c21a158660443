import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { filesOf, gitLine, pictureOf, put, standOf } from '../services/git/helpers.ts';
import { killAtWrite, type Write } from '../setup/kill-at.ts';
import {
  checkpointBranches,
  makeDirty,
  type Resumable,
  startResumable,
} from '../setup/resumable.ts';
import { backends, type TestService } from '../setup/service.ts';
import { until } from '../setup/until.ts';

const AGENT = join(import.meta.dirname, '..', 'setup', 'agent.ts');

const SHORT = { claimSeconds: 2, renewMs: 500, sweepMs: 200 };

type Step = [string, Write];

/** The write that a worker is about to make when it is killed; what came before it is done. */
const checkpointSteps: Step[] = [
  ['branch moved, not recorded', { table: 'checkpoints', event: 'INSERT' }],
  ['recorded, bundle half written', { table: 'bundle_chunks', event: 'INSERT' }],
  [
    'bundle written, not attached',
    { table: 'checkpoints', event: 'UPDATE', when: 'NEW.bundle_id IS NOT NULL' },
  ],
  [
    'pushed, not noted',
    { table: 'checkpoints', event: 'UPDATE', when: "NEW.durability = 'pushed'" },
  ],
  ['done, not finished', { table: 'runs', event: 'UPDATE', when: 'NEW.finished_at IS NOT NULL' }],
];

const resumeSteps: Step[] = [
  ['captured, not recorded', { table: 'checkpoints', event: 'INSERT' }],
  [
    'restored, not noted',
    {
      table: 'sessions',
      event: 'UPDATE',
      when: 'OLD.restored IS NULL AND NEW.restored IS NOT NULL',
    },
  ],
  [
    'prepared, not ready',
    {
      table: 'sessions',
      event: 'UPDATE',
      when: 'OLD.ready_at IS NULL AND NEW.ready_at IS NOT NULL',
    },
  ],
  [
    'ready, not finished',
    {
      table: 'runs',
      event: 'UPDATE',
      when: "NEW.kind = 'resume' AND NEW.finished_at IS NOT NULL",
    },
  ],
];

describe.each(backends)('a worker killed at work on a session, on %s', (backend) => {
  let flow: Resumable;
  beforeAll(async () => {
    flow = await startResumable(
      backend,
      { DEFIB_CHECKPOINT_REMOTE: 'origin', DEFIB_DRAIN_SECONDS: '2' },
      { worker: false },
    );
  });
  afterAll(() => flow.stop());

  let heir: TestService | undefined;
  // A worker that lives on would take the next one's work.
  afterEach(async () => {
    await heir?.stop();
    heir = undefined;
  });

  const killAt = (write: Write, act: () => Promise<unknown>) => killAtWrite(flow, write, act);

  /** Git's own temporary files and locks. */
  const litterIn = (worktree: string) =>
    [...pictureOf(join(worktree, '.git'), false).keys()].filter((path) =>
      /tmp_|\.lock$|\.part$/.test(path),
    );

  // The queue has no part in what is done step by step; on Redis one of each kind is enough.
  const some = (steps: Step[]) => (backend === 'postgres' ? steps : steps.slice(0, 1));

  it.each(some(checkpointSteps))('of a checkpoint, %s: it is made once', async (name, write) => {
    const { worktree, remote } = flow.clone(`cp ${name}`);
    makeDirty(worktree);
    const before = { files: filesOf(worktree), stand: standOf(worktree) };
    const session = await flow.start({ worktree });
    await killAt(write, async () => {
      const body = { trigger: 'turn', reasoning: { approach: 'steady' } };
      const { status } = await session.post('checkpoints', body, { Prefer: 'respond-async' });
      expect(status).toBe(202);
    });
    heir = await flow.worker('here', SHORT);
    const run = await flow.finished('checkpoint', session.id);
    expect(run.errors).toEqual([]);
    const saved = await flow.checkpoints(session.id);
    expect(saved).toMatchObject([{ number: 1, durability: 'pushed', warnings: [] }]);
    const [{ id, commit }] = saved;
    const branch = `checkpoint/builder/${session.id}`;
    expect(gitLine(worktree, 'rev-parse', branch)).toBe(commit);
    expect(gitLine(remote, 'rev-parse', branch)).toBe(commit);
    expect(litterIn(worktree)).toEqual([]);
    const bundle = await flow.service.call('GET', `/api/checkpoints/${id}/bundle`);
    expect(bundle.status).toBe(200);

    await flow.expire(session.id);
    const second = await flow.claim();
    expect(filesOf(second.session.worktree)).toEqual(before.files);
    expect(standOf(second.session.worktree)).toEqual(before.stand);
    expect(standOf(worktree)).toEqual(before.stand);
    await second.post('finish', { outcome: 'completed' });
    await until('all is pruned', () =>
      [worktree, remote].every((each) => checkpointBranches(each).length === 0),
    );
  });

  it.runIf(backend === 'postgres')(
    'of a resume, its agent started: that one goes on, and no other is started',
    async () => {
      const command = [process.execPath, AGENT];
      await flow.policy({ spawner: { type: 'command', command } });
      const { worktree } = flow.clone('started');
      const session = await flow.start({ worktree });
      const when = "NEW.kind = 'resume' AND NEW.finished_at IS NOT NULL";
      await killAt({ table: 'runs', event: 'UPDATE', when }, () => flow.expire(session.id));
      await flow.policy({});
      const { id, worktree: restored } = (await flow.session(session.id)).attempts[1];
      const pidFile = join(restored, 'agent.pid');
      await until('it works', async () => {
        return existsSync(pidFile) && (await flow.session(id)).status === 'running';
      });
      const pid = readFileSync(pidFile, 'utf8');
      heir = await flow.worker('here', SHORT);
      expect((await flow.finished('resume', id)).errors).toEqual([]);
      expect(readFileSync(pidFile, 'utf8')).toBe(pid);
      writeFileSync(join(restored, 'finish'), '');
      await until('the work is done', async () => {
        return (await flow.session(id)).status === 'completed';
      });
      expect((await flow.session(session.id)).attempts).toHaveLength(2);
    },
  );

  it.each(some(resumeSteps))('of a resume, %s: one successor has the work', async (name, write) => {
    const { worktree } = flow.clone(`re ${name}`);
    const session = await flow.start({ worktree });
    makeDirty(worktree);
    put(worktree, 'at the end.txt', 'unsaved\n');
    const before = { files: filesOf(worktree), stand: standOf(worktree) };
    await killAt(write, () => flow.expire(session.id));
    heir = await flow.worker('here', SHORT);
    const second = await flow.claim();
    expect(second.session.resumedFrom).toBe(session.id);
    expect(filesOf(second.session.worktree)).toEqual(before.files);
    expect(standOf(second.session.worktree)).toEqual(before.stand);
    expect(standOf(worktree)).toEqual(before.stand);
    expect(litterIn(worktree)).toEqual([]);
    expect((await flow.session(session.id)).attempts).toHaveLength(2);
    expect(await flow.checkpoints(session.id)).toHaveLength(1);
    await flow.finished('resume', second.id);
    const none = await flow.service.call('POST', '/api/agents/builder/claim', {
      token: flow.agent,
    });
    expect(none.status).toBe(204);
    await second.post('finish', { outcome: 'completed' });
    await until('its branch is pruned', () => checkpointBranches(worktree).length === 0);
  });
});
