import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeDirty, type Resumable, startResumable } from '../setup/resumable.ts';
import { until } from '../setup/until.ts';

/** What an agent finds that looks around. */
const LOOK = `id -u > who.tmp
{ cat "/proc/$1/environ"; ls "$2"; cat "$2"/credentials.json; } > seen.txt 2>&1
test -r "$DEFIB_PROMPT_FILE" && echo prompt >> who.tmp
echo $$ > agent.pid
mv who.tmp who.txt
exec sleep 300`;

describe.skipIf(process.getuid?.() !== 0)('agents of another user', { timeout: 120_000 }, () => {
  let flow: Resumable;
  beforeAll(async () => {
    flow = await startResumable('postgres', { DEFIB_SPAWN_USER: 'nobody' });
    chmodSync(flow.root, 0o755);
  });
  afterAll(() => flow.stop());

  it('have their worktree and nothing of the worker, and their work is saved', async () => {
    const data = join(flow.root, 'data-here');
    // As `npm start` leaves one.
    writeFileSync(join(data, 'credentials.json'), '{}', { mode: 0o600 });
    const command = ['sh', '-c', LOOK, '--', String(process.pid), data];
    await flow.policy({ spawner: { type: 'command', command } });
    const { worktree } = flow.clone('other-user');
    makeDirty(worktree);
    const first = await flow.start({ worktree });
    await flow.expire(first.id);
    const second = await until(
      'the agent has looked around',
      async () => {
        const [, next] = (await flow.session(first.id)).attempts;
        return next?.worktree && existsSync(join(next.worktree, 'who.txt')) && next;
      },
      60_000,
    );
    const read = (name: string) => readFileSync(join(second.worktree, name), 'utf8');
    try {
      const { uid } = statSync(join(second.worktree, 'a.txt'));
      expect(uid).not.toBe(0);
      expect(read('who.txt')).toBe(`${uid}\nprompt\n`);
      expect(read('seen.txt').match(/Permission denied/g)).toHaveLength(3);
      const stop = { body: { reason: 'seen enough' } };
      await flow.service.call('POST', `/api/sessions/${second.id}/interrupt`, stop);
      const saved = await until(
        'its work is saved',
        async () => (await flow.checkpoints(second.id)).find(({ commit }) => commit),
        60_000,
      );
      expect(saved.warnings).toEqual([]);
    } finally {
      process.kill(Number(read('agent.pid')), 'SIGKILL');
    }
  });
});
