import { join } from 'node:path';
import { mkdirSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { findSession } from '../../../src/db/queries/sessions.ts';
import type { Run } from '../../../src/db/schema.ts';
import { openCheckpointDeps } from '../../../src/services/checkpoints/deps.ts';
import { newPass } from '../../../src/services/checkpoints/run.ts';
import { captureStep, moveStep, record } from '../../../src/services/checkpoints/steps.ts';
import { newId } from '../../../src/services/ids.ts';
import { makeDirty, type Resumable, startResumable } from '../../setup/resumable.ts';
import { filesOf, gitLine, put, userGit } from '../git/helpers.ts';

let flow: Resumable;
beforeAll(async () => {
  flow = await startResumable('postgres', {}, { worker: false });
});
afterAll(() => flow.stop());

const { signal } = new AbortController();

/** Two workers that have captured the same session, and neither has moved its branch. */
async function twoCaptures(name: string) {
  const { config, db, log } = flow.service.started.deps;
  const deps = await openCheckpointDeps({ config, db, log });
  const { worktree } = flow.clone(name);
  const started = await flow.start({ worktree });
  makeDirty(worktree);
  const capture = async () => {
    const run = { id: newId(), session_id: started.id, input: {}, kind: 'checkpoint' } as Run;
    const folder = join(flow.root, run.id);
    mkdirSync(folder);
    const pass = newPass(deps, run, folder);
    pass.session = await findSession(db, started.id);
    await captureStep.run(pass, signal);
    return pass;
  };
  const first = await capture();
  put(worktree, 'later.txt', 'later\n');
  return { worktree, first, second: await capture(), branch: started.session.checkpointBranch };
}

it('a worker whose branch was moved meanwhile by another of its host follows that', async () => {
  const { worktree, first, second, branch } = await twoCaptures('followed');
  await moveStep.run(first, signal);
  await record(first, signal);
  await moveStep.run(second, signal);
  await record(second, signal);
  const { commit } = second.taken!.capture;
  expect(second.checkpoint).toMatchObject({ number: 2, commit, warnings: [] });
  expect(gitLine(worktree, 'rev-parse', branch)).toBe(commit);
  expect(gitLine(worktree, 'rev-parse', `${commit}^3`)).toBe(first.taken!.capture.commit);
  expect(gitLine(worktree, 'show', `${commit}:later.txt`)).toBe('later');
  expect(filesOf(worktree).has('later.txt')).toBe(true);
});

it('a branch that is elsewhere is left there; the checkpoint says so and is not called stored', async () => {
  const { worktree, first, branch } = await twoCaptures('strayed');
  userGit(worktree, ['update-ref', `refs/heads/${branch}`, 'main']);
  await expect(moveStep.run(first, signal)).rejects.toMatchObject({ code: 'conflict' });
  await record(first, signal);
  expect(first.checkpoint).toMatchObject({
    number: 1,
    durability: 'local',
    warnings: [expect.stringContaining('moved by somebody else')],
  });
  expect(gitLine(worktree, 'rev-parse', branch)).toBe(gitLine(worktree, 'rev-parse', 'main'));
});
