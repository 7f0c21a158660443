import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { put } from '../services/git/helpers.ts';
import { defib } from '../setup/defib.ts';
import { startSupervised, type Supervised, waitFor } from '../setup/supervised.ts';

let flow: Supervised;
beforeAll(async () => {
  flow = await startSupervised();
});
afterAll(() => flow.stop());

const type = (args: string[], token = flow.service.env['DEFIB_OPERATOR_TOKEN']!) =>
  defib(args, { cwd: flow.root, env: { ...flow.env, DEFIB_TOKEN: token } });

describe('the verbs of the command line', () => {
  it('cancel, retry, stop and dismiss move work on, and name the verb that helps', async () => {
    const { id } = await flow.start();
    const refused = await type(['retry', id]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/conflict.*starting.*interrupt/s);

    const cancelled = await type(['cancel', id, '--reason', 'not today'], flow.agent);
    expect(cancelled).toMatchObject({ code: 0 });
    expect(cancelled.stdout).toContain('is cancelled');
    const retried = await type(['retry', id, '--budget', '0', '--json'], flow.agent);
    expect(retried.code, retried.stderr).toBe(0);
    const next = JSON.parse(retried.stdout);
    expect(next).toMatchObject({ attempt: 2, resumedFrom: id, status: 'pending' });

    // Whichever attempt is named, the newest is meant.
    const waits = await type(['stop', id]);
    expect(waits.stderr).toContain(`defib cancel ${next.id}`);
    expect((await type(['dismiss', id])).stderr).toMatch(/pending.*cancel/s);
    expect((await type(['stop', id, '--no-resume'])).stdout).toContain(next.id);
    expect((await type(['dismiss', id])).code).toBe(0);
    expect((await type(['retry'])).stderr).toContain('No session needs attention');
  });

  it('cancel ends an agent that is at work, after its work was saved', async () => {
    const { worktree } = flow.clone('cancelled');
    const one = flow.run({
      cwd: worktree,
      script: `echo half > half.txt; touch begun; ${waitFor(join(flow.root, 'never'))}`,
    });
    const id = await flow.idOf(one);
    await expect.poll(() => existsSync(join(worktree, 'begun')), { timeout: 60_000 }).toBe(true);
    expect((await type(['cancel', id])).stdout).toContain('is cancelled');
    expect(await one.exited).toMatchObject({ code: 90 });
    expect(await flow.session(id)).toMatchObject({ status: 'cancelled', waitingFor: null });
    expect((await flow.session(id)).attempts).toHaveLength(1);
    expect((await type(['diff', id])).stdout).toContain('+half');
  });

  it('stop saves a session that is at work and ends its agent', async () => {
    const { worktree } = flow.clone('stopped');
    const one = flow.run({
      cwd: worktree,
      options: ['--checkpoint-every', '1'],
      script: `echo half > half.txt; touch begun; ${waitFor(join(flow.root, 'never'))}`,
    });
    const id = await flow.idOf(one);
    await expect.poll(() => existsSync(join(worktree, 'begun')), { timeout: 60_000 }).toBe(true);
    const stopped = await type(['stop', id, '--reason', 'the host goes down']);
    expect(stopped.stdout).toContain('is interrupted');
    await one.exited;
    const session = await flow.session(id);
    expect(session).toMatchObject({ cause: 'stopped', endReason: 'the host goes down' });
  });
});

describe('defib checkpoints, diff and restore', () => {
  it('show each checkpoint, what it changed, and what changed between two', async () => {
    const { worktree } = flow.clone('several');
    const session = await flow.start({ worktree });
    for (const text of ['first', 'second', 'third']) {
      put(worktree, 'new.txt', `${text}\n`);
      expect((await session.post('checkpoints', { trigger: 'turn' })).status).toBe(201);
    }
    const list = await type(['checkpoints', session.id]);
    expect(list.stdout.trim().split('\n')).toHaveLength(4);
    expect((await type(['diff', session.id])).stdout).toContain('+third');
    expect((await type(['diff', session.id, '1'])).stdout).toContain('+first');
    const between = await type(['diff', session.id, '1', '3']);
    expect(between.stdout, between.stderr).toMatch(/-first\n\+third/);
    const target = join(flow.root, 'second');
    const restored = await type(['restore', session.id, '--checkpoint', '2', '--into', target]);
    expect(restored.stderr).toBe('');
    expect(existsSync(join(target, 'new.txt'))).toBe(true);
    const none = await type(['diff', session.id, '9']);
    expect(none.stderr).toMatch(/no checkpoint 9.*1, 2, 3/s);
    await session.post('finish', { outcome: 'cancelled' });
  });
});
