import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commitAll, put, userGit } from '../services/git/helpers.ts';
import { startDefib } from '../setup/defib.ts';
import { scriptedAgent } from '../setup/scripted-agent.ts';
import { lives, pidIn, startSupervised, type Supervised } from '../setup/supervised.ts';
import { until } from '../setup/until.ts';

let flow: Supervised;
beforeAll(async () => {
  flow = await startSupervised();
});
afterAll(() => flow.stop());

const resume = (cwd: string, ...args: string[]) =>
  startDefib(['resume', '--grace', '1', ...args], { cwd, env: flow.env });

describe('defib resume', () => {
  it('takes up what a killed supervisor left, in its worktree, and ends the agent that lived on', async () => {
    const { worktree } = flow.clone('orphan');
    const pid = join(flow.root, 'orphan.pid');
    const agent = scriptedAgent(
      flow.root,
      'orphan/claude',
      `test "$ATTEMPT" -gt 1 && { cat work.txt; echo whole >> work.txt; exit 0; }
       echo half > work.txt; echo $$ > ${pid}; exec sleep 600`,
    );
    const options = ['--checkpoint-every', '1'];
    const one = flow.run({ cwd: worktree, options, program: [agent, '-p', 'go'] });
    const id = await flow.idOf(one);
    const orphan = await pidIn(pid);
    await until('it was saved', async () => (await flow.checkpoints(id)).length > 0);
    one.send('SIGKILL');
    await flow.expire(id);
    await until('it waits', async () => (await flow.session(id)).attempts[1]);

    // Where else one is does not matter; nor is the command needed again.
    const two = resume(flow.root);
    const { code, stdout, stderr } = await two.exited;
    expect(stderr).toContain(`Completed. The work is in ${worktree}.`);
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'half\n' });
    expect(readFileSync(join(worktree, 'work.txt'), 'utf8')).toBe('half\nwhole\n');
    expect(lives(orphan)).toBe(false);
  });

  it('saves itself what a killed supervisor had not saved, where no worker may look', async () => {
    const outside = join(flow.root, 'outside');
    userGit(flow.root, ['init', '--quiet', '-b', 'main', outside]);
    put(outside, 'a.txt', 'one\n');
    commitAll(outside);
    const pid = join(flow.root, 'outside.pid');
    const agent = scriptedAgent(
      flow.root,
      'bin/claude',
      `test "$ATTEMPT" -gt 1 && { cat work.txt; exit 0; }
       echo unsaved > work.txt; echo $$ > ${pid}; exec sleep 600`,
    );
    const options = ['--checkpoint-every', '600'];
    const one = flow.run({ cwd: outside, options, program: [agent, '-p', 'go'] });
    const id = await flow.idOf(one);
    await pidIn(pid);
    await until('it is running', async () => (await flow.session(id)).status === 'running');
    one.send('SIGKILL');
    await flow.expire(id);
    await until('it waits', async () => (await flow.session(id)).attempts[1]);
    const { code, stdout } = await resume(outside, id).exited;
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'unsaved\n' });
    const [first, second] = (await flow.session(id)).attempts;
    expect([first.worktree, second.worktree]).toEqual([outside, outside]);
    expect(await flow.checkpoints(id)).toMatchObject([{ trigger: 'resume', filesChanged: 1 }]);
  });

  it('goes on with work that was given up, elsewhere where its worktree is another now', async () => {
    const { worktree } = flow.clone('given-up');
    const agent = scriptedAgent(
      flow.root,
      'given-up/claude',
      'test "$ATTEMPT" -gt 1 && { pwd; cat half.txt; exit 0; }; echo half > half.txt; exit 3',
    );
    const options = ['--no-resume'];
    const one = flow.run({ cwd: worktree, options, program: [agent, '-p', 'go'] });
    const id = await flow.idOf(one);
    expect(await one.exited).toMatchObject({ code: 3 });
    const again = await flow.service.call('POST', `/api/sessions/${id}/resume`, { body: {} });
    await flow.finished('resume', again.body.id);
    put(worktree, 'half.txt', 'mine\n');
    const { code, stdout } = await resume(worktree, id, '--', agent, '-p').exited;
    const { attempts } = await flow.session(id);
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${attempts[1].worktree}\nhalf\n` });
    expect(attempts[1].worktree).not.toBe(worktree);
    expect(readFileSync(join(worktree, 'half.txt'), 'utf8')).toBe('mine\n');
  });

  it('says what there is where nothing can be taken up', async () => {
    expect((await resume(flow.root).exited).stderr).toContain('No session waits.');
    const live = await flow.start();
    const busy = await resume(flow.root, live.id).exited;
    expect(busy).toMatchObject({ code: 1 });
    expect(busy.stderr).toContain('is at work');
    await live.post('interrupt', { reason: 'a test' });
    const unknown = await resume(flow.root, live.id).exited;
    expect(unknown.stderr).toContain('not known on this machine what');
    expect(existsSync(join(flow.kept, live.id))).toBe(false);
  });
});
