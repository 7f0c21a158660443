import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commitAll, put, userGit } from '../services/git/helpers.ts';
import { checkpointBranches, type Resumable, startResumable } from '../setup/resumable.ts';

// Put together here, so that no scanner takes this file for a leak.
const secret = (n: number) => `ghp_${String(n).repeat(4)}${'aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE'}`;

describe('secrets', () => {
  let flow: Resumable;
  beforeAll(async () => {
    flow = await startResumable('postgres', { DEFIB_CHECKPOINT_REMOTE: 'origin' });
  });
  afterAll(() => flow.stop());

  it('in files and in what an agent says reach neither the remote nor the prompt', async () => {
    const { worktree, remote } = flow.clone('leaky');
    put(worktree, 'config.ts', 'export const token = "";\n');
    commitAll(worktree);
    userGit(worktree, ['push', '--quiet', remote, 'main']);
    userGit(worktree, ['update-ref', 'refs/remotes/origin/main', 'main']);
    put(worktree, 'config.ts', `export const token = "${secret(1)}";\n`);
    put(worktree, 'notes.txt', `login with ${secret(2)}\n`);
    const first = await flow.start({ worktree, objective: `use ${secret(3)} to log in` });
    expect(first.session.objective).toBe('use [redacted: github] to log in');
    await first.post('heartbeat', { note: `tried ${secret(4)}` });
    const beat = () =>
      flow.service.call('POST', '/api/agents/builder/heartbeat', {
        token: flow.agent,
        body: { sessionId: first.id, note: `again ${secret(5)}` },
        headers: { 'Idempotency-Key': 'once' },
      });
    const { runId } = (await beat()).body;
    expect((await beat()).body.runId).toBe(runId);
    const saved = await first.post('checkpoints', {
      trigger: 'turn',
      reasoning: { approach: `set GITHUB_TOKEN=${secret(6)}`, done: [`wrote ${secret(7)}`] },
    });
    expect(saved).toMatchObject({ status: 201, body: { durability: 'stored' } });
    expect(saved.body.warnings.join('\n')).toMatch(/secret \(\S+\) in config\.ts/);
    expect(saved.body.warnings.join('\n')).toMatch(/secret \(\S+\) in notes\.txt/);
    expect(checkpointBranches(remote)).toEqual([]);
    await first.post('interrupt', { reason: `stopped at ${secret(8)}` });

    const second = await flow.claim();
    expect(second.continuation).toContain('[redacted: ');
    await second.post('finish', { outcome: 'failed', summary: `gave up on ${secret(9)}` });
    const { rows } = await sql<{ text: string }>`
      SELECT sessions::text AS text FROM sessions
      UNION ALL SELECT runs::text FROM runs
      UNION ALL SELECT reasoning::text FROM checkpoints`.execute(flow.db());
    const stored = rows.map(({ text }) => text).join('\n');
    for (let n = 3; n <= 9; n += 1) {
      expect(second.continuation, String(n)).not.toContain(secret(n));
      expect(stored, String(n)).not.toContain(secret(n));
    }
    for (const n of [1, 2]) expect(second.continuation).not.toContain(secret(n));
    const inRemote = userGit(remote, ['rev-list', '--all', '--objects']).toString();
    expect(inRemote).not.toContain('notes.txt');
  });
});
