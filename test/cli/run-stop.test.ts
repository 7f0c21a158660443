import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gitLine, put } from '../services/git/helpers.ts';
import { checkpointBranches } from '../setup/resumable.ts';
import { lives, pidIn, startSupervised, type Supervised, waitFor } from '../setup/supervised.ts';
import { until } from '../setup/until.ts';

let flow: Supervised;
beforeAll(async () => {
  flow = await startSupervised();
});
afterAll(() => flow.stop());

/** Counts how often a process says something on stderr. */
const COUNT_WRITES = `import { writeFileSync } from 'node:fs';
let count = 0;
const { write } = process.stderr;
process.stderr.write = (...args) => { count += 1; return write.apply(process.stderr, args); };
process.on('exit', () => writeFileSync(process.env.COUNT, String(count)));`;

/** A shell that ignores SIGTERM for ever. */
const stubborn = (pidFile: string): string =>
  `sh -c 'trap "" TERM; echo $$ > ${pidFile}; while :; do sleep 0.1; done'`;

describe('an agent that is stopped', () => {
  it('at its time limit: saved first, then ended with all that it started', async () => {
    const { worktree } = flow.clone('limit');
    await flow.policy({ leaseSeconds: 9 });
    const pids = ['child', 'grandchild', 'daemon'].map((name) => join(flow.root, `limit.${name}`));
    const [child = '', grandchild = '', daemon = ''] = pids;
    const one = flow.run({
      cwd: worktree,
      options: ['--timeout', '600'],
      script:
        `echo dirty > a.txt; ${stubborn(grandchild)} & setsid ${stubborn(daemon)} & ` +
        `trap "echo term > term.txt" TERM; echo $$ > ${child}; while :; do sleep 0.1; done`,
    });
    const id = await flow.idOf(one);
    const started = await Promise.all(pids.map(pidIn));
    // A little more than what stopping and saving may take: told with the next heartbeat.
    await flow.endsIn(id, 18);
    expect(await one.exited).toMatchObject({ code: 124 });
    expect(started.filter(lives)).toEqual([]);
    expect(await flow.session(id)).toMatchObject({
      status: 'interrupted',
      endReason: 'deadline_passed',
    });
    const all = await flow.checkpoints(id);
    const before = all.find(({ trigger }) => trigger === 'limit');
    expect(before).toMatchObject({ filesChanged: 1 });
    // What it wrote when it was told to stop is saved as well, before the limit.
    expect(all.at(-1)).toMatchObject({ filesChanged: 2 });
    const heir = await flow.claim();
    expect(heir.continuation).toContain('it reached its time limit');
    const { worktree: restored } = heir.session;
    expect(readFileSync(join(restored, 'term.txt'), 'utf8')).toBe('term\n');
    await heir.post('finish', { outcome: 'completed' });
    await flow.policy({});
  });

  it('by SIGTERM to its supervisor: saved, and handed on', async () => {
    const { worktree } = flow.clone('sigterm');
    const pid = join(flow.root, 'sigterm.pid');
    const one = flow.run({
      cwd: worktree,
      script: `echo dirty > a.txt; echo $$ > ${pid}; exec sleep 600`,
    });
    const id = await flow.idOf(one);
    const child = await pidIn(pid);
    one.send('SIGTERM');
    expect(await one.exited).toMatchObject({ code: 143 });
    expect(lives(child)).toBe(false);
    expect(await flow.session(id)).toMatchObject({
      status: 'interrupted',
      endReason: 'its supervisor got SIGTERM',
    });
    expect((await flow.checkpoints(id))[0]).toMatchObject({ trigger: 'sigterm', filesChanged: 1 });
    const heir = await flow.claim();
    expect(heir.session.resumedFrom).toBe(id);
    await heir.post('finish', { outcome: 'completed' });
  });

  it('by a directive of the service', async () => {
    const { worktree } = flow.clone('directive');
    await flow.policy({ leaseSeconds: 5 });
    const one = flow.run({ cwd: worktree, script: 'echo dirty > a.txt; exec sleep 600' });
    const id = await flow.idOf(one);
    const directive = { type: 'cancel', reason: 'the issue was closed upstream' };
    await flow
      .db()
      .updateTable('sessions')
      .set({ directive: JSON.stringify(directive) })
      .where('id', '=', id)
      .execute();
    expect(await one.exited).toMatchObject({ code: 91 });
    expect(await flow.session(id)).toMatchObject({
      status: 'cancelled',
      summary: 'the issue was closed upstream',
    });
    expect(await flow.checkpoints(id)).toMatchObject([{ trigger: 'directive', filesChanged: 1 }]);
  });

  it('and nobody reads what its supervisor says: that goes on, and is quiet', async () => {
    const { worktree } = flow.clone('unread');
    await flow.policy({ leaseSeconds: 5 });
    const count = join(flow.root, 'unread.count');
    const preload = join(flow.root, 'count-writes.mjs');
    writeFileSync(preload, COUNT_WRITES);
    const one = flow.run({
      cwd: worktree,
      script: 'echo dirty > a.txt; exec sleep 600',
      env: { NODE_OPTIONS: `--import=${preload}`, COUNT: count },
    });
    const id = await flow.idOf(one);
    one.closeStderr();
    const directive = { type: 'cancel', reason: 'the issue was closed upstream' };
    await flow
      .db()
      .updateTable('sessions')
      .set({ directive: JSON.stringify(directive) })
      .where('id', '=', id)
      .execute();
    expect(await one.exited).toMatchObject({ code: 91 });
    expect(await flow.session(id)).toMatchObject({ status: 'cancelled' });
    expect(Number(readFileSync(count, 'utf8'))).toBeLessThan(20);
  });

  it('once it wakes after others took over: a zombie is refused', async () => {
    const { worktree } = flow.clone('zombie');
    await flow.policy({ leaseSeconds: 5 });
    const pid = join(flow.root, 'zombie.pid');
    const grandchild = join(flow.root, 'zombie.grandchild');
    const one = flow.run({
      cwd: worktree,
      script: `${stubborn(grandchild)} & echo dirty > a.txt; echo $$ > ${pid}; while :; do date > b.txt; sleep 0.1; done`,
    });
    const id = await flow.idOf(one);
    const agents = [await pidIn(pid), await pidIn(grandchild)];
    await until('it is running', async () => (await flow.session(id)).status === 'running');
    // As a laptop that is closed: nothing of the supervisor runs for longer than the lease.
    one.send('SIGSTOP');
    const heir = await flow.claim();
    expect(heir.session.resumedFrom).toBe(id);
    expect(readFileSync(join(heir.session.worktree, 'a.txt'), 'utf8')).toBe('dirty\n');
    const place = gitLine(heir.session.worktree, 'rev-parse', 'HEAD');
    one.send('SIGCONT');
    const { code, stderr } = await one.exited;
    expect(code).toBe(90);
    expect(stderr).toContain(`${heir.id} has taken over`);
    expect(agents.filter(lives)).toEqual([]);
    // Nothing of its successor has changed; what it still had to say is kept, marked.
    expect(gitLine(heir.session.worktree, 'rev-parse', 'HEAD')).toBe(place);
    const { latestCheckpointId } = await flow.session(heir.id);
    const all = await flow.checkpoints(id);
    expect(all.find(({ late }) => !late)?.id).toBe(latestCheckpointId);
    expect(all.at(-1)).toMatchObject({ late: true, trigger: 'refused' });
    await heir.post('finish', { outcome: 'completed' });
    await flow.policy({});
  });

  it('at once, when somebody asks a second time', async () => {
    const { worktree } = flow.clone('twice');
    const pid = join(flow.root, 'twice.pid');
    const one = flow.run({
      cwd: worktree,
      options: ['--grace', '600', '--no-resume'],
      script: `exec ${stubborn(pid)}`,
    });
    await flow.idOf(one);
    await pidIn(pid);
    one.send('SIGTERM');
    await until('it is asked', () => one.stderr().includes('SIGTERM'));
    one.send('SIGTERM');
    expect(await one.exited).toMatchObject({ code: 137 });
  });
});

describe('two supervisors', () => {
  it('on one worktree save each for itself', async () => {
    const { worktree } = flow.clone('shared');
    const script = (name: string) => `echo ${name} > ${name}.txt; ${waitFor(`${worktree}/go`)}`;
    const options = ['--checkpoint-every', '1', '--no-resume'];
    const both = ['one', 'two'].map((name) =>
      flow.run({ cwd: worktree, options, script: `${script(name)}; exit 1` }),
    );
    const ids = await Promise.all(both.map(flow.idOf));
    for (const id of ids) {
      await until('it was saved', async () => (await flow.checkpoints(id)).length > 0);
    }
    put(worktree, 'go', '');
    expect(await Promise.all(both.map(({ exited }) => exited))).toMatchObject([
      { code: 1 },
      { code: 1 },
    ]);
    expect(checkpointBranches(worktree)).toEqual(
      ids.map((id) => `checkpoint/builder/${id}`).sort(),
    );
    for (const id of ids) {
      const tree = gitLine(worktree, 'ls-tree', '--name-only', `checkpoint/builder/${id}`);
      expect(tree.split('\n')).toEqual(expect.arrayContaining(['go', 'one.txt', 'two.txt']));
    }
  });

  it('of one session: the second is refused', async () => {
    const { worktree } = flow.clone('same');
    const session = await flow.start({ worktree });
    const options = ['--session', session.id];
    const env = { DEFIB_SESSION_TOKEN: session.token };
    const go = join(flow.root, 'same.go');
    const one = flow.run({ cwd: worktree, options, env, script: waitFor(go) });
    await flow.idOf(one);
    const two = flow.run({ cwd: worktree, options, env, script: 'echo never' });
    const { code, stdout, stderr } = await two.exited;
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(`looked after by process ${one.pid}`);
    put(flow.root, 'same.go', '');
    expect(await one.exited).toMatchObject({ code: 0 });
    expect(await flow.session(session.id)).toMatchObject({ status: 'completed' });
  });
});
