import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { statusOf } from '../services/git/helpers.ts';
import { checkpointBranches } from '../setup/resumable.ts';
import {
  hookEvent,
  listed,
  startSupervised,
  type Supervised,
  touch,
  waitFor,
} from '../setup/supervised.ts';
import { until } from '../setup/until.ts';

let flow: Supervised;
beforeAll(async () => {
  flow = await startSupervised();
});
afterAll(() => flow.stop());

describe('defib run', () => {
  it('runs a command as a session, saves its work, and leaves nothing after success', async () => {
    const { worktree } = flow.clone('normal');
    const go = join(flow.root, 'normal.go');
    const one = flow.run({
      cwd: join(worktree, 'dir'),
      options: ['--objective', 'mend it', '--repo', 'acme/app', '--timeout', '600'],
      script: `echo changed > ../a.txt; echo out; echo err >&2; ${hookEvent('turn')}; ${waitFor(go)}`,
    });
    const id = await flow.idOf(one);
    const saved = await until('a checkpoint has come', async () =>
      (await flow.checkpoints(id)).find(({ filesChanged }) => filesChanged === 1),
    );
    expect(saved).toMatchObject({ trigger: 'turn', turn: 1, durability: 'stored' });
    expect(await flow.session(id)).toMatchObject({
      status: 'running',
      agentName: 'builder',
      objective: 'mend it',
      repo: 'acme/app',
      worktree,
      host: 'here',
      branch: 'main',
      turn: 1,
    });
    expect(checkpointBranches(worktree)).toEqual([`checkpoint/builder/${id}`]);
    const status = statusOf(worktree);
    touch(flow.root, 'normal.go');

    const { code, stdout, stderr } = await one.exited;
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'out\n' });
    expect(stderr).toContain('err\n');
    expect(await flow.session(id)).toMatchObject({ status: 'completed', needsAttention: false });
    expect(checkpointBranches(worktree)).toEqual([]);
    expect(statusOf(worktree)).toBe(status);
    expect(listed(flow.kept)).not.toContain(id);
    await until('the service has pruned', async () =>
      (await flow.checkpoints(id)).every(({ prunedAt }) => prunedAt !== null),
    );
  });
});
