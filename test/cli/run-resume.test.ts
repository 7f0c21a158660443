import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gitLine, put, userGit } from '../services/git/helpers.ts';
import { checkpointBranches } from '../setup/resumable.ts';
import { startSupervised, type Supervised, waitFor } from '../setup/supervised.ts';
import { until } from '../setup/until.ts';

let flow: Supervised;
beforeAll(async () => {
  flow = await startSupervised();
});
afterAll(() => flow.stop());

/** The second attempt: finds the work and the prompt, and finishes. */
const GO_ON = `
  set -e
  grep -q half work.txt
  grep -q 'Continue: attempt 2' "$DEFIB_PROMPT_FILE"
  test "$1" = "$PWD"
  test -z "$DATABASE_URL$DEFIB_OPERATOR_TOKEN"
  echo whole >> work.txt
  git -c user.name=u -c user.email=u@example.com commit -qam done
  git push -q origin HEAD:result
`;

const goOnByCommand = () =>
  flow.policy({
    leaseSeconds: 30,
    spawner: { type: 'command', command: ['/bin/sh', '-c', GO_ON, 'sh', '{worktree}'] },
  });

/** Waits until the work is done by a later attempt, and everything of it is cleaned up. */
async function isFinished(id: string, worktree: string): Promise<void> {
  const chain = await until('the second attempt has completed', async () => {
    const { attempts } = await flow.session(id);
    return attempts[1]?.status === 'completed' && attempts;
  });
  expect(chain).toHaveLength(2);
  await until('its branches are pruned', () => checkpointBranches(worktree).length === 0);
  expect(checkpointBranches(chain[1].worktree)).toEqual([]);
}

const RESULT = 'half\nwhole';
const resultIn = (remote: string): string => gitLine(remote, 'show', 'result:work.txt');
const START = 'echo half > work.txt; git add work.txt';

describe('work under a supervisor', () => {
  it('goes on after its time limit, under a supervisor again', async () => {
    const { worktree, remote } = flow.clone('limit');
    await goOnByCommand();
    const one = flow.run({
      cwd: worktree,
      options: ['--timeout', '12'],
      script: `${START}; exec sleep 600`,
    });
    const id = await flow.idOf(one);
    expect(await one.exited).toMatchObject({ code: 124 });
    await isFinished(id, worktree);
    expect(resultIn(remote)).toBe(RESULT);
  });

  it('goes on after its supervisor was killed: a worker saves what it left', async () => {
    const { worktree, remote } = flow.clone('killed');
    await goOnByCommand();
    const one = flow.run({
      cwd: worktree,
      options: ['--checkpoint-every', '1'],
      script: `echo first > first.txt; ${waitFor(`${worktree}/go`)}; exec sleep 600`,
    });
    const id = await flow.idOf(one);
    await until('it was saved', async () => (await flow.checkpoints(id)).length > 0);
    one.send('SIGKILL');
    // The pipes stay with the agent, which nobody looks after now.
    put(worktree, 'work.txt', 'half\n');
    userGit(worktree, ['add', 'work.txt']);
    await flow.expire(id);
    await isFinished(id, worktree);
    expect(resultIn(remote)).toBe(RESULT);
    const all = await flow.checkpoints(id);
    expect(all.at(-1)).toMatchObject({ trigger: 'timed_out', filesChanged: 2 });
    put(worktree, 'go', '');
  });

  it('goes on from what was sent, where supervisor and worktree are gone', async () => {
    const { worktree, remote } = flow.clone('gone');
    await goOnByCommand();
    const one = flow.run({
      cwd: worktree,
      options: ['--checkpoint-every', '1'],
      script: `${START}; exec sleep 600`,
    });
    const id = await flow.idOf(one);
    await until('it was saved', async () => (await flow.checkpoints(id))[0]?.filesChanged === 1);
    one.send('SIGKILL');
    rmSync(worktree, { recursive: true });
    rmSync(join(flow.kept, id), { recursive: true });
    await flow.expire(id);
    await until(
      'the second attempt has completed',
      async () => (await flow.session(id)).attempts[1]?.status === 'completed',
    );
    expect(resultIn(remote)).toBe(RESULT);
  });

  it('is not begun where its command cannot be run, which is told', async () => {
    const { worktree } = flow.clone('missing');
    await flow.policy({ spawner: { type: 'command', command: ['no-such-agent-here'] } });
    const one = flow.run({ cwd: worktree, script: 'exit 1' });
    const id = await flow.idOf(one);
    await one.exited;
    const heir = await until('a person is told', async () => {
      const { attempts } = await flow.session(id);
      const why = attempts[1]?.summary ?? '';
      const isTold = why.includes('ended with code 127 before its first heartbeat');
      return isTold && attempts[1]?.needsAttention && attempts[1];
    });
    expect(heir.endedAt).toBeNull();
  });
});
