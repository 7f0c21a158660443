import { existsSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gitLine, put } from '../services/git/helpers.ts';
import { defib, operatorOf, type RunningDefib } from '../setup/defib.ts';
import { scriptedAgent } from '../setup/scripted-agent.ts';
import { carrying, lives, pidIn, startSupervised, type Supervised } from '../setup/supervised.ts';
import { until } from '../setup/until.ts';

let flow: Supervised;
beforeAll(async () => {
  flow = await startSupervised();
});
afterAll(() => flow.stop());

const SAVED = ['--checkpoint-every', '1'];

/** A supervisor, started by an operator, whose agent has written a file, been saved, and waits. */
async function atWork(name: string, later: string, more: { asAgent?: boolean } = {}) {
  const { worktree } = flow.clone(name);
  const pid = join(flow.root, `${name}.pid`);
  const agent = scriptedAgent(
    flow.root,
    `${name}/claude`,
    `if test "$ATTEMPT" -gt 1; then ${later}; fi
     echo half > work.txt; echo $$ > ${pid}; exec sleep 600`,
  );
  const one = flow.run({
    cwd: worktree,
    options: SAVED,
    program: [agent, '-p', 'write it whole'],
    env: more.asAgent ? {} : operatorOf(flow.service),
  });
  const id = await flow.idOf(one);
  const agentPid = await pidIn(pid);
  await until('it was saved', async () => (await flow.checkpoints(id)).length > 0);
  return { worktree, id, one, pid, agentPid };
}

async function die(one: RunningDefib, id: string): Promise<void> {
  // Its agent keeps its output open, so that is not waited for.
  one.send('SIGKILL');
  await flow.expire(id);
}

const attempts = async (id: string) => (await flow.session(id)).attempts;
const nth = (id: string, n: number, status: string) =>
  until(`attempt ${n} is ${status}`, async () => {
    const one = (await attempts(id))[n - 1];
    return one?.status === status && one;
  });

/** The next attempt waits for somebody to claim it. */
async function waits(id: string): Promise<void> {
  const second = await nth(id, 2, 'pending');
  await until('it can be claimed', async () => {
    const path = `/api/runs?kind=resume&sessionId=${second.id}`;
    const { body } = await flow.service.call('GET', path);
    const summaries = body.items.map((run: { summary: string | null }) => run.summary ?? '');
    return summaries.some((text: string) => text.includes('waiting to be claimed'));
  });
}

describe('a worker of the machine goes on where a supervisor has died', () => {
  it('in the same worktree, with the prompt that says so, after it ended the agent that lived on', async () => {
    const done = `echo it goes on; cat "$DEFIB_PROMPT_FILE" > ${flow.root}/prompt.md; echo "$4" > ${flow.root}/arg.md; echo whole >> work.txt; exit 0`;
    const work = await atWork('orphan', done);
    await die(work.one, work.id);
    const env = { ...flow.env, DEFIB_DATA_DIR: join(flow.root, 'data-here') };
    await until('the next attempt is there', async () => (await attempts(work.id))[1]);
    const attached = await defib(['attach', work.id], { env, cwd: flow.root });
    expect(attached).toMatchObject({ code: 0, stderr: expect.stringMatching(/Completed\.\n$/) });
    expect(attached.stdout).toContain('it goes on');
    const second = await nth(work.id, 2, 'completed');
    expect(second).toMatchObject({ worktree: work.worktree, host: 'here' });
    expect(readFileSync(join(work.worktree, 'work.txt'), 'utf8')).toBe('half\nwhole\n');
    expect(lives(work.agentPid)).toBe(false);
    const prompt = readFileSync(join(flow.root, 'prompt.md'), 'utf8');
    expect(prompt).toContain('write it whole');
    expect(prompt).toContain(work.worktree);
    const runs = await flow.service.call('GET', `/api/runs?kind=resume&sessionId=${second.id}`);
    expect(runs.body.items).toMatchObject([
      {
        status: 'ok',
        summary: expect.stringMatching(
          /ended 1 process of the attempt before.*started its command again/i,
        ),
      },
    ]);
  });

  it('again and again, also where the one that it started dies or reaches the time limit', async () => {
    const later = `test "$ATTEMPT" -gt 3 && { echo whole >> work.txt; exit 0; }; test "$ATTEMPT" -gt 2 && exit 7; true`;
    const work = await atWork('twice', later);
    await die(work.one, work.id);
    const second = await nth(work.id, 2, 'running');
    await until(
      'its agent is there',
      () => Number(readFileSync(work.pid, 'utf8')) !== work.agentPid,
    );
    const supervisor = carrying(second.id).find((pid) =>
      readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--take-over'),
    );
    process.kill(supervisor ?? 0, 'SIGKILL');
    await flow.expire(second.id);
    // The third fails by itself.
    await nth(work.id, 3, 'interrupted');
    await nth(work.id, 4, 'completed');
    expect(readFileSync(join(work.worktree, 'work.txt'), 'utf8')).toBe('half\nwhole\n');
  });

  it('beside a worktree that was changed meanwhile, in one of its repository', async () => {
    const work = await atWork(
      'changed',
      'echo whole >> work.txt; git add -A; git -c user.name=a -c user.email=a@b.c commit -qm done; exit 0',
    );
    process.kill(work.agentPid, 'SIGKILL');
    work.one.send('SIGKILL');
    await flow.expire(work.id);
    await nth(work.id, 2, 'pending');
    put(work.worktree, 'mine.txt', 'mine\n');
    const second = await nth(work.id, 2, 'completed');
    expect(existsSync(join(work.worktree, 'mine.txt'))).toBe(true);
    expect(gitLine(second.worktree, 'log', '-1', '--format=%s')).toBe('done');
  });

  it('not beside a supervisor that lives and was only silent: that goes on itself', async () => {
    await flow.policy({ leaseSeconds: 5, resumeBackoffSeconds: 0 });
    const work = await atWork('silent', 'cat work.txt; exit 0');
    await flow.expire(work.id);
    expect(await work.one.exited).toMatchObject({ code: 0, stdout: 'half\n' });
    expect(await attempts(work.id)).toMatchObject([
      { status: 'timed_out' },
      { status: 'completed', worktree: work.worktree },
    ]);
  });

  it('never with a command that an agent has recorded: it waits to be claimed', async () => {
    const work = await atWork('own', 'exit 0', { asAgent: true });
    await die(work.one, work.id);
    await waits(work.id);
    const takeover = {
      command: ['touch', join(flow.root, 'pwned')],
      host: 'here',
      cwd: '/',
      stateDir: '/tmp',
      path: '/bin',
    };
    const body = { objective: 'x', takeover };
    const path = '/api/agents/builder/sessions';
    const asked = await flow.service.call('POST', path, { token: flow.agent, body });
    expect(asked).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    const shell = { ...takeover, command: ['sh', '-c', 'echo {prompt}'] };
    const wrong = await flow.service.call('POST', path, { body: { ...body, takeover: shell } });
    expect(wrong).toMatchObject({ status: 422, body: { code: 'invalid' } });
  });

  it('not with a command that is too long to be recorded, which runs all the same', async () => {
    const { worktree } = flow.clone('long');
    const run = (more: { env?: Record<string, string>; word?: string }) =>
      flow.run({
        cwd: worktree,
        options: ['--rerun'],
        program: ['sh', '-c', 'exit 0', 'sh', more.word ?? ''],
        env: { ...operatorOf(flow.service), ...more.env },
      }).exited;
    const path = `${process.env['PATH']}${':/nowhere'.repeat(5000)}`;
    expect(await run({ env: { PATH: path } })).toMatchObject({ code: 0 });
    expect(await run({ word: 'x'.repeat(40_000) })).toMatchObject({ code: 0 });
    expect(await run({})).toMatchObject({ code: 0 });
  });

  it('not where its user stopped it', async () => {
    const work = await atWork('stopped', 'exit 0');
    work.one.send('SIGTERM');
    await work.one.exited;
    await waits(work.id);
  });

  it('waits for a person where its folder is gone', async () => {
    const work = await atWork('gone', 'exit 0');
    work.one.send('SIGKILL');
    renameSync(work.worktree, `${work.worktree}.old`);
    await flow.expire(work.id);
    await waits(work.id);
  });
});
