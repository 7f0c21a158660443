import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gitLine, put } from '../services/git/helpers.ts';
import { defib } from '../setup/defib.ts';
import { scriptedAgent } from '../setup/scripted-agent.ts';
import { startSupervised, type Supervised } from '../setup/supervised.ts';
import { until } from '../setup/until.ts';

const COMMIT = 'git -c user.name=u -c user.email=u@example.com commit -q -m';

let flow: Supervised;
beforeAll(async () => {
  flow = await startSupervised();
});
afterAll(() => flow.stop());

const type = (args: string[]) =>
  defib(args, {
    cwd: flow.root,
    env: {
      ...flow.env,
      DEFIB_TOKEN: flow.service.env['DEFIB_OPERATOR_TOKEN'],
      DEFIB_DATA_DIR: join(flow.root, 'data-here'),
    },
  });
const worktrees = async (...args: string[]) => {
  const { code, stdout, stderr } = await type(['worktrees', '--json', ...args]);
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout);
};

/** The second attempt at work whose first one ran out of time, started by a worker, until it has ended. */
async function resumed(name: string, script: string) {
  const { worktree } = flow.clone(name);
  await flow.policy({ spawner: { type: 'command', command: ['/bin/sh', '-c', script] } });
  const first = await flow.start({ worktree });
  put(worktree, 'half.txt', 'half\n');
  await flow.expire(first.id);
  return await until('the second attempt has ended', async () => {
    const [, second] = (await flow.session(first.id)).attempts;
    return second?.endedAt && second;
  });
}

describe('the worktree of an agent that a worker started', () => {
  it('stays until its work is home, and then until it is asked to go', async () => {
    const second = await resumed('stays', 'echo it works; echo whole > whole.txt');
    expect(second).toMatchObject({ status: 'completed', result: { state: 'uncommitted' } });
    const output = await type(['logs', '--output', second.id, '--follow']);
    expect(output.stdout).toContain('it works');
    expect(await worktrees('--prune')).toMatchObject([
      { worktree: second.worktree, kept: expect.stringContaining('uncommitted'), removed: false },
    ]);
    await flow.service.call('POST', `/api/sessions/${second.id}/dismiss`);
    put(second.worktree, 'mine.txt', 'mine\n');
    expect(await worktrees('--prune')).toMatchObject([
      { kept: 'it was changed since it was saved', removed: false },
    ]);
    const again = await resumed('goes', 'echo whole > whole.txt');
    await flow.service.call('POST', `/api/sessions/${again.id}/dismiss`);
    const listed = await worktrees();
    expect(listed).toContainEqual(
      expect.objectContaining({ sessionId: again.id, kept: null, removed: false }),
    );
    await worktrees('--prune');
    expect(existsSync(again.worktree)).toBe(false);
    expect(existsSync(join(second.worktree, 'mine.txt'))).toBe(true);
  });

  it('is listed, and goes from its repository, where defib run made it', async () => {
    const { worktree } = flow.clone('linked');
    await flow.policy({ spawner: { type: 'pull' }, resumeBackoffSeconds: 1 });
    const agent = scriptedAgent(
      flow.root,
      'linked/claude',
      `test "$ATTEMPT" -gt 1 && { echo whole > w.txt; git add w.txt; ${COMMIT} done; exit 0; }
       exit 7`,
    );
    const one = flow.run({ cwd: worktree, program: [agent, '-p', 'go'] });
    const id = await flow.idOf(one);
    await until('it was stopped', async () => (await flow.session(id)).endedAt);
    put(worktree, 'mine.txt', 'by hand\n');
    expect(await one.exited).toMatchObject({ code: 0 });
    const [, second] = (await flow.session(id)).attempts;
    const its = async (...args: string[]) =>
      (await worktrees(...args)).find((row: { sessionId: string }) => row.sessionId === second.id);
    expect(await its('--prune')).toMatchObject({
      worktree: second.worktree,
      kept: expect.stringContaining('committed'),
    });
    await flow.service.call('POST', `/api/sessions/${second.id}/dismiss`);
    expect(await its('--prune')).toMatchObject({ kept: null, removed: true });
    expect(existsSync(second.worktree)).toBe(false);
    const list = gitLine(worktree, 'worktree', 'list', '--porcelain').match(/^worktree /gm);
    expect(list).toHaveLength(1);
    expect(gitLine(worktree, 'log', '-1', '--format=%s', second.result.branch)).toBe('done');
  });

  it('has no output here where its agent has a terminal', async () => {
    const { id } = await flow.start();
    const none = await type(['logs', '--output', id]);
    expect(none).toMatchObject({ code: 1, stdout: '' });
    expect(none.stderr).toContain('prints on its own terminal');
  });
});
