import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { put } from '../services/git/helpers.ts';
import { scriptedAgent } from '../setup/scripted-agent.ts';
import { lives, pidIn, startSupervised, type Supervised } from '../setup/supervised.ts';
import { until } from '../setup/until.ts';

let flow: Supervised;
beforeAll(async () => {
  flow = await startSupervised();
});
afterAll(() => flow.stop());

const file = (setup: object): string => JSON.stringify({ setup });

describe('the setup of a new worktree', () => {
  it('is that of .defib.json as it was before the first agent was started', async () => {
    const { worktree } = flow.clone('own');
    await flow.policy({ resumeBackoffSeconds: 1 });
    put(worktree, '.git/info/exclude', '.env\nmodules/\n');
    put(worktree, '.env', 'KEY=1\n', 0o600);
    const run = ['mkdir modules && echo installed | tee modules/x', 'echo broken; exit 3'];
    put(worktree, '.defib.json', file({ copy: ['.env', 'none.txt'], run }));
    const evil = file({ run: [`touch ${flow.root}/pwned`] });
    const agent = scriptedAgent(
      flow.root,
      'own/claude',
      `test "$ATTEMPT" -gt 1 && { cat .env modules/x > seen.txt; cp "$DEFIB_PROMPT_FILE" prompt.md; exit 0; }
       echo '${evil}' > .defib.json; exit 7`,
    );
    const one = flow.run({ cwd: worktree, program: [agent, '-p', 'go'] });
    const id = await flow.idOf(one);
    await until('it was stopped', async () => (await flow.session(id)).endedAt);
    put(worktree, 'mine.txt', 'by hand\n');
    const { code, stdout, stderr } = await one.exited;
    // The agent's output is the agent's alone.
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(stderr).toContain('installed');
    const [, second] = (await flow.session(id)).attempts;
    expect(second.worktree).not.toBe(worktree);
    expect(readFileSync(join(second.worktree, 'seen.txt'), 'utf8')).toBe('KEY=1\ninstalled\n');
    const prompt = readFileSync(join(second.worktree, 'prompt.md'), 'utf8');
    expect(prompt).toContain('## Setup of this worktree');
    expect(prompt).toContain('- none.txt was not copied: there is no such file.');
    expect(prompt).toContain('- `echo broken; exit 3` failed: exit code 3.');
    expect(existsSync(join(flow.root, 'pwned'))).toBe(false);
  });

  it('is that of the policy where a worker starts the agent, within its time', async () => {
    const { worktree } = flow.clone('policy');
    const sleeper = join(flow.root, 'sleeper');
    const setup = {
      copy: ['.env', 'out/there'],
      run: [`echo $$ > ${sleeper}; sleep 600`, 'true'],
      timeoutSeconds: 2,
    };
    const command = ['/bin/sh', '-c', 'cat "$DEFIB_PROMPT_FILE" .env > told.txt'];
    await flow.policy({ setup, spawner: { type: 'command', command } });
    put(worktree, '.git/info/exclude', '.env\nout\n');
    put(worktree, '.env', 'KEY=2\n');
    symlinkSync('/etc', join(worktree, 'out'));
    const { id } = await flow.start({ worktree });
    await flow.expire(id);
    const second = await until('the second attempt is over', async () => {
      const [, next] = (await flow.session(id)).attempts;
      return next?.endedAt && next;
    });
    const told = readFileSync(join(second.worktree, 'told.txt'), 'utf8');
    expect(told).toContain('- out/there was not copied: there is no such file.');
    expect(told).toContain('sleep 600` failed: it took longer than it may, and was ended.');
    expect(told).toContain('`true` failed: the time limit of 2 s was over.');
    expect(told).toMatch(/KEY=2\n$/);
    expect(lives(await pidIn(sleeper))).toBe(false);
  });

  it('that cannot be read is refused before anything is begun', async () => {
    const { worktree } = flow.clone('wrong');
    const before = await flow.service.call('GET', '/api/sessions?limit=1');
    for (const text of ['{', '{"setup": {"run": "npm ci"}}', file({ copy: ['../x'] })]) {
      put(worktree, '.defib.json', text);
      const { code, stderr } = await flow.run({ cwd: worktree, script: 'echo ran' }).exited;
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: expect.stringContaining('invalid_file: .defib.json cannot be used'),
      });
    }
    const after = await flow.service.call('GET', '/api/sessions?limit=1');
    expect(after.body.items).toEqual(before.body.items);
    for (const setup of [{ copy: ['/etc/passwd'] }, { copy: ['.git/config'] }, { run: [''] }]) {
      const body = { policy: { setup } };
      expect(await flow.service.call('PUT', '/api/agents/builder', { body })).toMatchObject({
        status: 422,
        body: { code: 'invalid' },
      });
    }
  });
});
