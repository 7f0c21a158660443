import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commitAll, filesOf, gitLine, put, statusOf, userGit } from '../services/git/helpers.ts';
import { defib } from '../setup/defib.ts';
import { startSupervised, type Supervised } from '../setup/supervised.ts';
import { until } from '../setup/until.ts';

let flow: Supervised;
beforeAll(async () => {
  flow = await startSupervised();
});
afterAll(() => flow.stop());

const COMMIT = 'git -c user.name=a -c user.email=a@example.com commit -qm';
/** Ends with a commit, and with uncommitted work of every kind beside it. */
const WORK = `
  echo committed > c.txt; git add c.txt; ${COMMIT} mended
  echo staged > staged.txt; git add staged.txt
  echo more >> a.txt; printf '\\000\\377' > 'new file.bin'; rm gone.txt
  printf '#!/bin/sh\\n' > dir/run.sh; chmod +x dir/run.sh; ln -s a.txt link`;

/**
 * Work that an agent did elsewhere: in a clone of the user's repository, on a machine that is gone. Returns where
 * the user has his own clone of it, as it was.
 */
async function done(name: string, script = WORK, code = 0) {
  const { worktree: pod, remote } = flow.clone(name);
  const home = join(flow.root, 'home', name);
  userGit(flow.root, ['clone', '--quiet', remote, home]);
  const running = flow.run({ cwd: pod, script: `${script}\nexit ${code}`, env: { HOME: home } });
  const id = await flow.idOf(running);
  expect((await running.exited).code).toBe(code);
  const files = filesOf(pod);
  const status = statusOf(pod);
  rmSync(pod, { recursive: true });
  return { id, home, remote, files, status };
}

const bring = (id: string, cwd: string, args: string[] = []) =>
  defib(['bring', id, ...args], {
    cwd,
    env: { ...flow.env, GIT_CONFIG_GLOBAL: '/dev/null', HOME: flow.root },
  });
const head = (folder: string, ref = 'HEAD') => gitLine(folder, 'rev-parse', ref);

describe('defib bring', () => {
  it('puts what a pod that is gone has finished into the clone that stands where it began', async () => {
    const work = await done('forward');
    expect((await flow.session(work.id)).result).toMatchObject({
      state: 'uncommitted',
      keptUntil: expect.any(String),
    });
    const brought = await bring(work.id, join(work.home, 'dir'));
    expect(brought).toMatchObject({ code: 0, stderr: '' });
    expect(brought.stdout).toContain('main in');
    expect(filesOf(work.home)).toEqual(work.files);
    expect(statusOf(work.home)).toBe(work.status);
    expect(gitLine(work.home, 'log', '-1', '--format=%s')).toBe('mended');
    expect((await flow.session(work.id)).result).toMatchObject({ keptUntil: null });
    await until('the service keeps it no longer', async () =>
      (await flow.checkpoints(work.id)).every(({ prunedAt }) => prunedAt),
    );
    const again = await bring(work.id, work.home);
    expect(again.code).toBe(1);
    expect(again.stderr).toContain('is kept no more');
    expect(filesOf(work.home)).toEqual(work.files);
  });

  it('twice is once, and nothing is dropped that was not finished', async () => {
    const work = await done('twice', WORK, 3);
    expect((await bring(work.id, work.home)).code).toBe(1);
    await flow.service.call('POST', `/api/sessions/${work.id}/cancel`);
    const last = (await flow.session(work.id)).attempts.at(-1);
    await flow.service.call('POST', `/api/sessions/${last.id}/cancel`);
    for (const wanted of ['is at', 'already']) {
      const { code, stdout, stderr } = await bring(work.id, work.home);
      expect(code, stderr).toBe(0);
      expect(stdout).toContain(wanted);
      expect(filesOf(work.home)).toEqual(work.files);
    }
  });

  it.each<[string, (home: string) => void, string]>([
    ['has changes of its own', (home) => put(home, 'mine.txt', 'mine\n'), 'changes of its own'],
    [
      'has commits of its own',
      (home) => {
        put(home, 'mine.txt', 'mine\n');
        commitAll(home, 'mine');
      },
      'commits that the work does not build on',
    ],
    [
      'has an ignored file in the way',
      (home) => {
        put(home, '.git/info/exclude', 'c.txt\n');
        put(home, 'c.txt', 'mine\n');
      },
      'c.txt is in the way',
    ],
    [
      'has an ignored link where the work has a folder',
      (home) => {
        put(home, '.git/info/exclude', 'new\n');
        mkdirSync(join(home, '..', 'outside'), { recursive: true });
        symlinkSync('../outside', join(home, 'new'));
      },
      'new is in the way',
    ],
  ])('puts it on a branch of its own where the clone %s', async (name, prepare, why) => {
    const script = `${WORK}\nmkdir new; echo n > new/n.txt`;
    const work = await done(`branch-${name.replaceAll(' ', '-')}`, script);
    prepare(work.home);
    const before = {
      files: filesOf(work.home),
      head: head(work.home),
      status: statusOf(work.home),
    };
    const { code, stdout, stderr } = await bring(work.id, work.home, ['--json']);
    expect(code, stderr).toBe(0);
    const answer = JSON.parse(stdout);
    expect(answer).toMatchObject({ how: 'branch', why: expect.stringContaining(why) });
    expect({
      files: filesOf(work.home),
      head: head(work.home),
      status: statusOf(work.home),
    }).toEqual(before);
    const other = join(flow.root, 'other', work.id);
    userGit(work.home, ['worktree', 'add', '--quiet', other, answer.branch]);
    expect(filesOf(other)).toEqual(work.files);
    expect(gitLine(other, 'log', '--format=%s').split('\n')[1]).toBe('mended');
    expect(existsSync(join(work.home, '..', 'outside', 'n.txt'))).toBe(false);
  });

  /** What an attempt left in the user's own worktree, gone on with elsewhere to its end. */
  async function wentOnElsewhere(name: string) {
    const { worktree } = flow.clone(name);
    const first = await flow.start({ worktree });
    put(worktree, 'a.txt', 'one\nstaged\n');
    userGit(worktree, ['add', 'a.txt']);
    put(worktree, 'half.txt', 'half\n');
    await flow.expire(first.id);
    const second = await flow.claim({ host: 'here' });
    const clone = second.session.worktree;
    commitAll(clone, 'the first half');
    put(clone, 'half.txt', 'whole\n');
    await second.post('checkpoints', { trigger: 'turn' });
    await second.post('finish', { outcome: 'completed' });
    return { worktree, id: first.id, files: filesOf(clone) };
  }

  it('takes the place of what an attempt left there, if nothing was touched since', async () => {
    const { worktree, id, files } = await wentOnElsewhere('left');
    const brought = await bring(id, worktree);
    expect(brought.code, brought.stderr).toBe(0);
    expect(brought.stdout).toContain("What attempt 1 had left there is in git's stash");
    expect(filesOf(worktree)).toEqual(files);
    expect(gitLine(worktree, 'log', '-1', '--format=%s')).toBe('the first half');
    expect(gitLine(worktree, 'show', 'stash@{0}^3:half.txt')).toBe('half');
  });

  it('leaves it where it is if a byte was changed since', async () => {
    const { worktree, id } = await wentOnElsewhere('touched');
    put(worktree, 'half.txt', 'half of mine\n');
    const before = { files: filesOf(worktree), status: statusOf(worktree) };
    const brought = await bring(id, worktree);
    expect(brought.stdout).toContain('It is on the branch defib/');
    expect({ files: filesOf(worktree), status: statusOf(worktree) }).toEqual(before);
    expect(gitLine(worktree, 'stash', 'list')).toBe('');
  });

  it('takes what was never stored from its branch, in the repository itself', async () => {
    const { worktree } = flow.clone('unstored');
    put(worktree, 'a.txt', 'one\nmore\n');
    const session = await flow.start({ worktree });
    await session.post('checkpoints', { trigger: 'turn' });
    await session.post('finish', { outcome: 'cancelled' });
    const files = filesOf(worktree);
    await sql`DELETE FROM bundles WHERE session_id = ${session.id}`.execute(flow.db());
    userGit(worktree, ['checkout', '--quiet', '--', '.']);
    const brought = await bring(session.id, worktree);
    expect(brought.code, brought.stderr).toBe(0);
    expect(filesOf(worktree)).toEqual(files);
  });

  it('refuses another repository, a folder that is none, and work that goes on', async () => {
    const work = await done('refused', 'echo x > x.txt');
    const other = join(flow.root, 'home', 'unrelated');
    userGit(flow.root, ['init', '--quiet', '-b', 'main', other]);
    put(other, 'a.txt', 'another\n');
    commitAll(other);
    const wrong = await bring(work.id, other);
    expect(wrong).toMatchObject({ code: 1 });
    expect(wrong.stderr).toContain('other_repository');
    expect(readFileSync(join(other, 'a.txt'), 'utf8')).toBe('another\n');
    expect((await bring(work.id, '/')).stderr).toContain('no_repository');
    expect((await flow.session(work.id)).result.keptUntil).not.toBeNull();

    const { id } = await flow.start();
    expect((await bring(id, work.home)).stderr).toContain(`defib stop ${id} --no-resume`);
  });
});
