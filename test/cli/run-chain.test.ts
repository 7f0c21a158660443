import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gitLine, put, statusOf } from '../services/git/helpers.ts';
import { checkpointBranches } from '../setup/resumable.ts';
import { scriptedAgent } from '../setup/scripted-agent.ts';
import { listed, lives, pidIn, startSupervised, type Supervised } from '../setup/supervised.ts';
import { until } from '../setup/until.ts';

let flow: Supervised;
beforeAll(async () => {
  flow = await startSupervised();
});
afterAll(() => flow.stop());

const commit = 'git -c user.name=u -c user.email=u@example.com commit -qm';

describe('defib run with a known agent', () => {
  it('goes on in the same worktree, attempt after attempt, until the work is done', async () => {
    const { worktree } = flow.clone('limits');
    await flow.policy({ leaseSeconds: 30 });
    const agent = scriptedAgent(
      flow.root,
      'limits/claude',
      `echo "$ATTEMPT" >> work.txt; git add work.txt; echo "attempt $ATTEMPT in $PWD with $1"
       test "$ATTEMPT" -lt 3 && exec sleep 600
       grep -q 'in the same worktree' "$DEFIB_PROMPT_FILE" || exit 9
       grep -q '^> mend it' "$DEFIB_PROMPT_FILE" || exit 8
       ${commit} done`,
    );
    const one = flow.run({
      cwd: join(worktree, 'dir'),
      options: ['--timeout', '8'],
      program: [agent, '-p', 'mend it'],
    });
    const id = await flow.idOf(one);
    const { code, stdout, stderr } = await one.exited;
    expect(stderr).toContain('Completed.');
    expect(stderr).toMatch(/Result: committed on main at [0-9a-f]{12}, on no remote yet\.\n$/);
    expect(code).toBe(0);
    expect(stdout.trim().split('\n')).toEqual(
      [1, 2, 3].map((n) => `attempt ${n} in ${worktree}/dir with -p`),
    );
    // In the user's own folder and on the user's own branch.
    expect(gitLine(worktree, 'log', '-1', '--format=%s', 'main')).toBe('done');
    expect(readFileSync(join(worktree, 'dir/work.txt'), 'utf8')).toBe('1\n2\n3\n');
    expect(statusOf(worktree)).toBe('');
    const { attempts } = await flow.session(id);
    expect(attempts).toMatchObject([
      { endReason: 'deadline_passed', worktree },
      { endReason: 'deadline_passed', worktree },
      { status: 'completed', worktree },
    ]);
    await until('its branches are pruned', () => checkpointBranches(worktree).length === 0);
    expect(listed(flow.kept)).toEqual([]);
  });

  it('goes on where the service took it for dead, as after a sleep of the machine', async () => {
    const { worktree } = flow.clone('asleep');
    await flow.policy({ leaseSeconds: 5, resumeBackoffSeconds: 0 });
    const agent = scriptedAgent(
      flow.root,
      'asleep/claude',
      `test "$ATTEMPT" -gt 1 && { cat half.txt; exit 0; }
       echo half > half.txt; exec sleep 600`,
    );
    const options = ['--checkpoint-every', '1'];
    const one = flow.run({ cwd: worktree, options, program: [agent, '-p', 'go'] });
    const id = await flow.idOf(one);
    await until('it was saved', async () => (await flow.checkpoints(id)).length > 0);
    await flow.expire(id);
    expect(await one.exited).toMatchObject({ code: 0, stdout: 'half\n' });
    expect((await flow.session(id)).attempts).toMatchObject([
      { status: 'timed_out' },
      { status: 'completed' },
    ]);
  });

  it('stops where a person has cancelled it, whatever its command could do next', async () => {
    const { worktree } = flow.clone('called-off');
    await flow.policy({ leaseSeconds: 5, resumeBackoffSeconds: 0 });
    const agent = scriptedAgent(flow.root, 'called-off/claude', 'exec sleep 600');
    const one = flow.run({ cwd: worktree, program: [agent, '-p', 'go'] });
    const id = await flow.idOf(one);
    await until('it runs', async () => (await flow.session(id)).status === 'running');
    await flow.service.call('POST', `/api/sessions/${id}/cancel`);
    expect((await one.exited).code).not.toBe(0);
    expect((await flow.session(id)).attempts).toMatchObject([{ status: 'cancelled' }]);
  });

  it('leaves a worktree alone that was changed meanwhile, and goes on beside it', async () => {
    const { worktree } = flow.clone('changed');
    await flow.policy({ leaseSeconds: 30, resumeBackoffSeconds: 2 });
    const agent = scriptedAgent(
      flow.root,
      'changed/claude',
      `test "$ATTEMPT" -gt 1 && { echo "whole in $PWD" > work.txt; exit 0; }
       echo half > work.txt; exit 7`,
    );
    const one = flow.run({ cwd: worktree, program: [agent, '-p', `look at ${worktree}/a.txt`] });
    const id = await flow.idOf(one);
    await until('it was stopped', async () => (await flow.session(id)).endedAt);
    put(worktree, 'mine.txt', 'by hand\n');
    const done = await one.exited;
    expect(done.code).toBe(0);
    const { attempts } = await flow.session(id);
    expect(done.stderr).toMatch(/Result: 1 changed file, not committed\. .*: defib bring /);
    const other = attempts[1].worktree;
    expect(other).not.toBe(worktree);
    expect(readFileSync(join(other, 'work.txt'), 'utf8')).toBe(`whole in ${other}\n`);
    expect(readFileSync(join(worktree, 'work.txt'), 'utf8')).toBe('half\n');
    expect(existsSync(join(other, 'mine.txt'))).toBe(false);
    expect(one.stderr()).toContain(`The work is in ${other}`);
    expect(gitLine(worktree, 'worktree', 'list')).toContain(`${other} `);
    expect(gitLine(other, 'symbolic-ref', '--short', 'HEAD')).toMatch(/^defib\//);
    await flow.policy({});
  });

  it('ends what its agent left in the background before the next one begins', async () => {
    const { worktree } = flow.clone('background');
    const pid = join(flow.root, 'background.pid');
    const agent = scriptedAgent(
      flow.root,
      'background/claude',
      `test "$ATTEMPT" -gt 1 && exit 0
       setsid sh -c 'echo $$ > ${pid}; exec sleep 600' & until [ -s ${pid} ]; do sleep 0.05; done; exit 7`,
    );
    const one = flow.run({ cwd: worktree, program: [agent, '-p', 'go'] });
    expect(await one.exited).toMatchObject({ code: 0 });
    expect(lives(await pidIn(pid))).toBe(false);
  });

  it('stops when the budget is spent, and says what to type', async () => {
    const { worktree } = flow.clone('spent');
    await flow.policy({ resumeBudget: 1 });
    const agent = scriptedAgent(flow.root, 'spent/claude', 'echo "ran $ATTEMPT"; exit 7');
    const one = flow.run({ cwd: worktree, program: [agent, '-p', 'go'] });
    const { code, stdout, stderr } = await one.exited;
    expect({ code, stdout }).toEqual({ code: 7, stdout: 'ran 1\nran 2\n' });
    expect(stderr).toContain('Not gone on with here: The resume budget is spent');
    await flow.policy({});
  });

  it('makes no more attempts than it is told, and leaves the rest to others', async () => {
    const { worktree } = flow.clone('few');
    const agent = scriptedAgent(flow.root, 'few/claude', 'echo "ran $ATTEMPT"; exit 7');
    const issue = 'https://github.com/acme/app/issues/7';
    const options = ['--attempts', '2', '--issue', issue];
    const one = flow.run({ cwd: worktree, options, program: [agent, '-p', 'go'] });
    const { stdout, stderr } = await one.exited;
    expect(stdout).toBe('ran 1\nran 2\n');
    expect(stderr).toMatch(/Attempt 2 was the last one here. To go on: defib resume [0-9a-f-]{36}/);
    await until('it waits', async () => {
      const { items } = (await flow.service.call('GET', '/api/sessions?status=pending')).body;
      return items[0]?.objective === `Work on ${issue}\n\ngo`;
    });
    // The same again takes up what waits, if it is told so.
    const again = flow.run({ cwd: worktree, options, program: [agent, '-p', 'go'] });
    expect((await again.exited).stderr).toMatch(/defib resume [0-9a-f-]{36}.* --take/);
    const taken = flow.run({
      cwd: worktree,
      options: [...options, '--take', '--no-resume'],
      program: [agent, '-p', 'go'],
    });
    expect(await taken.exited).toMatchObject({ code: 7, stdout: 'ran 3\n' });
  });

  it('stops at a signal between two attempts', async () => {
    const { worktree } = flow.clone('between');
    await flow.policy({ resumeBackoffSeconds: 600 });
    const agent = scriptedAgent(flow.root, 'between/claude', 'exit 7');
    const one = flow.run({ cwd: worktree, program: [agent, '-p', 'go'] });
    await until('it waits', () => one.stderr().includes('The next attempt begins in'));
    one.send('SIGINT');
    expect(await one.exited).toMatchObject({ code: 7 });
    expect(one.stderr()).toContain('SIGINT: stopped. To go on: defib resume');
    await flow.policy({});
  });
});

describe('defib run with any other program', () => {
  it('goes on with the command that it is given for that', async () => {
    const { worktree } = flow.clone('given');
    const script = 'grep -q "attempt 2" "$1" && test "$2" = "a b" && echo went on';
    const options = ['--resume-with', `sh -c '${script}' sh {promptFile} "a b"`];
    const one = flow.run({ cwd: worktree, options, script: 'echo first; exit 3' });
    expect(await one.exited).toMatchObject({ code: 0, stdout: 'first\nwent on\n' });
  });

  it('goes on with the same command', async () => {
    const { worktree } = flow.clone('rerun');
    const script = 'test -e half.txt && exit 0; echo half > half.txt; exit 3';
    const one = flow.run({ cwd: worktree, options: ['--rerun'], script });
    expect(await one.exited).toMatchObject({ code: 0 });
  });

  it('goes on outside of a git worktree too', async () => {
    const script = 'test -e seen && exit 0; touch seen; exit 3';
    const one = flow.run({ cwd: flow.root, options: ['--rerun'], script });
    expect(await one.exited).toMatchObject({ code: 0 });
  });

  it('waits where it knows neither, and says what to type', async () => {
    const { worktree } = flow.clone('unknown');
    const one = flow.run({ cwd: worktree, script: 'exit 3' });
    const { code, stderr } = await one.exited;
    expect(code).toBe(3);
    expect(stderr).toContain("--resume-with 'my-agent {promptFile}'");
    const bad = flow.run({ cwd: worktree, options: ['--resume-with', 'sh -c {prompt}'] });
    expect((await bad.exited).stderr).toContain('to an interpreter');
  });
});
