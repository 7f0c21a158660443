import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { watchSessions } from '../../src/services/sessions/watch.ts';
import { filesOf, gitLine, put } from '../services/git/helpers.ts';
import { makeDirty, type Resumable, startResumable } from '../setup/resumable.ts';
import { backends } from '../setup/service.ts';
import { until } from '../setup/until.ts';

describe.each(backends)('a session that everybody wants to end and to take, on %s', (backend) => {
  let flow: Resumable;
  beforeAll(async () => {
    flow = await startResumable(backend);
  });
  afterAll(() => flow.stop());

  it('has one successor and one agent after fifty triggers at once', async () => {
    const { worktree } = flow.clone('storm');
    makeDirty(worktree);
    const session = await flow.start({ worktree });
    await flow.expire(session.id);
    const { deps } = flow.service.started;
    const watch = () =>
      watchSessions({ db: deps.db, log: deps.log, settings: deps.sessionSettings, batch: 10 });
    const claims: number[] = [];
    const claim = async () => {
      const path = '/api/agents/builder/claim';
      const { status } = await flow.service.call('POST', path, { token: flow.agent });
      claims.push(status);
    };
    const interrupt = () => session.post('interrupt', { reason: 'storm' });
    const save = (n: number) =>
      session.post('checkpoints', { trigger: 'storm', reasoning: { nextStep: `${n}` } });
    await Promise.all(
      Array.from({ length: 50 }, (_, n) => [watch, claim, interrupt, () => save(n)][n % 4]!()),
    );
    await until('somebody has it', async () => {
      await Promise.all([claim(), claim(), claim()]);
      return claims.includes(200);
    });
    await Promise.all(Array.from({ length: 10 }, claim));
    expect(claims.filter((status) => status === 200)).toHaveLength(1);
    const { attempts } = await flow.session(session.id);
    expect(attempts).toHaveLength(2);
    expect(filesOf(attempts[1].worktree)).toEqual(filesOf(worktree));
    const numbers = (await flow.checkpoints(session.id)).map(({ number }) => number);
    expect(numbers).toEqual(numbers.map((_, n) => n + 1));
  });

  it('two checkpoints at once follow each other; an unchanged worktree makes no new commit', async () => {
    const { worktree } = flow.clone('together');
    makeDirty(worktree);
    const session = await flow.start({ worktree });
    const other = await flow.worker('here');
    const save = () => session.post('checkpoints', { trigger: 'turn' });
    const both = await Promise.all([save(), save(), save()]);
    expect(both.map(({ status }) => status)).toEqual([201, 201, 201]);
    expect(both.flatMap(({ body }) => body.warnings)).toEqual([]);
    expect(new Set(both.map(({ body }) => body.commit)).size).toBe(1);
    expect(both.map(({ body }) => body.number).sort()).toEqual([1, 2, 3]);
    put(worktree, 'more.txt', 'more\n');
    const { body } = await save();
    expect(body.commit).not.toBe(both[0]!.body.commit);
    expect(gitLine(worktree, 'rev-parse', session.session.checkpointBranch)).toBe(body.commit);
    await other.stop();
  });
});

describe('a stopped agent that wakes after it was replaced', () => {
  let flow: Resumable;
  beforeAll(async () => {
    flow = await startResumable('postgres');
  });
  afterAll(() => flow.stop());

  it('is refused whatever it writes, and so is its child; the successor is untouched', async () => {
    const { worktree } = flow.clone('zombie');
    makeDirty(worktree);
    const session = await flow.start({ worktree });
    const script = join(import.meta.dirname, '..', 'setup', 'zombie.ts');
    const zombie = spawn(process.execPath, [script], {
      cwd: worktree,
      detached: true,
      stdio: 'ignore',
      env: {
        PATH: process.env['PATH'],
        DEFIB_URL: `${flow.service.url}/api/sessions/${session.id}`,
        DEFIB_SESSION_TOKEN: session.token,
      },
    });
    const group = (signal: NodeJS.Signals) => process.kill(-zombie.pid!, signal);
    onTestFinished(() => void group('SIGKILL'));
    const log = (who: string) => join(worktree, `.git/${who}.log`);
    const said = (who: string) =>
      existsSync(log(who)) ? readFileSync(log(who), 'utf8').split('\n').filter(Boolean) : [];
    for (const who of ['agent', 'child']) {
      await until(`the ${who} beats`, () => said(who).includes('heartbeat 200'));
    }
    group('SIGSTOP');
    await flow.expire(session.id);
    const second = await flow.claim();
    expect((await second.post('heartbeat')).status).toBe(200);
    await second.post('checkpoints', { trigger: 'turn', reasoning: { approach: 'anew' } });
    const branch = second.session.checkpointBranch;
    const now = async () => {
      const { leaseExpiresAt: _renewed, ...row } = await flow.session(second.id);
      return { row, tip: gitLine(second.session.worktree, 'rev-parse', branch) };
    };
    const before = await now();

    group('SIGTERM');
    group('SIGCONT');
    for (const who of ['agent', 'child']) {
      const all = ['heartbeat', 'checkpoints', 'finish', 'interrupt'];
      await until(`the ${who} has tried everything`, () =>
        all.every((verb) => said(who).some((line) => line === `${verb} 409`)),
      );
    }
    const { row, tip } = await now();
    expect(tip).toBe(before.tip);
    expect({ ...row, attempts: [] }).toEqual({ ...before.row, attempts: [] });
    expect(row.status).toBe('running');
    const late = (await flow.checkpoints(session.id)).filter((each) => each.late);
    expect(late.length).toBeGreaterThan(0);
    expect(await flow.checkpoints(second.id)).toHaveLength(1);
  });
});
