import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { filesOf, standOf } from '../services/git/helpers.ts';
import { defib } from '../setup/defib.ts';
import { makeDirty, type Started } from '../setup/resumable.ts';
import { startSupervised, type Supervised } from '../setup/supervised.ts';

let flow: Supervised;
beforeAll(async () => {
  flow = await startSupervised();
});
afterAll(() => flow.stop());

/** Work that an agent left unfinished, dirty in every way. */
async function left(name: string) {
  const { worktree, remote } = flow.clone(name);
  makeDirty(worktree);
  const said = `echo '{"nextStep": "the tests"}' > $DEFIB_SESSION_DIR/reasoning.json`;
  const one = flow.run({ cwd: worktree, script: `${said}; exit 1` });
  const id = await flow.idOf(one);
  await one.exited;
  return { id, worktree, remote, files: filesOf(worktree), stand: standOf(worktree) };
}

const restore = (args: string[], more: { env?: Record<string, string>; cwd?: string } = {}) =>
  defib(['restore', ...args], { cwd: flow.root, ...more, env: { ...flow.env, ...more.env } });

describe('defib restore', () => {
  it('makes a worktree that is as the lost one was, from the bundle and the remote', async () => {
    const work = await left('lost');
    rmSync(work.worktree, { recursive: true });
    const target = join(flow.root, 'deep', 'restored');
    const done = await restore([work.id, '--into', target]);
    expect(done).toMatchObject({ code: 0, stdout: `${target}\n` });
    expect(filesOf(target)).toEqual(work.files);
    expect(standOf(target)).toEqual(work.stand);
    expect(readFileSync(join(target, '.git', 'config'), 'utf8')).toContain(work.remote);

    const again = await restore([work.id, '--into', target]);
    expect(again.code).toBe(1);
    expect(again.stderr).toContain('not empty');
  });

  it('needs no remote where that was a folder, which another machine does not have', async () => {
    const work = await left('clone');
    rmSync(work.remote, { recursive: true });
    const target = join(flow.root, 'r0');
    expect(await restore([work.id, '--into', target])).toMatchObject({ code: 0 });
    expect(filesOf(target)).toEqual(work.files);
  });

  it('serves the successor with its own token alone, and prints its prompt', async () => {
    const work = await left('successor');
    const heir: Started = await flow.claim({ host: 'elsewhere' });
    const target = join(flow.root, 'for-the-heir');
    const done = await restore([heir.id, '--into', target, '--print-prompt'], {
      env: { DEFIB_TOKEN: '', DEFIB_SESSION_TOKEN: heir.token },
    });
    expect(done.code).toBe(0);
    expect(done.stdout).toContain('# Continue: attempt 2');
    expect(done.stdout).toContain(target);
    expect(done.stdout).not.toContain(`- Your worktree: \`${heir.session.worktree}\``);
    expect(done.stdout).toContain('the tests');
    expect(done.stderr).toContain(target);
    expect(filesOf(target)).toEqual(work.files);
    const stranger = await flow.service.agentToken('stranger');
    const none = await restore([work.id], { env: { DEFIB_TOKEN: stranger } });
    expect(none.code).toBe(1);
    expect(none.stderr).toContain('not_found');
  });

  it('prints the prompt of the next attempt for what was restored of one that is over', async () => {
    const work = await left('ended');
    const target = join(flow.root, 'by-hand');
    const done = await restore([work.id, '--into', target, '--print-prompt']);
    expect(done.code).toBe(0);
    expect(done.stdout).toContain('# Continue: attempt 2');
    expect(done.stdout).toContain(`\`${target}\``);
    expect(done.stdout).toContain('the tests');
  });

  it('says so where nothing was saved', async () => {
    const { id } = await flow.start();
    const none = await restore([id]);
    expect(none.code).toBe(1);
    expect(none.stderr).toContain('Nothing was saved');
  });
});
