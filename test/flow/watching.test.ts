import { describe, expect, it } from 'vitest';
import { startResumable } from '../setup/resumable.ts';
import { caller } from '../setup/service.ts';
import { until } from '../setup/until.ts';

describe('the board', () => {
  it('shows the queue of a host, with the names of its jobs', async () => {
    const flow = await startResumable('postgres');
    try {
      const { worktree } = flow.clone('seen');
      const session = await flow.start({ worktree });
      await session.post('checkpoints', { trigger: 'turn' });
      const token = flow.service.env['DEFIB_OPERATOR_TOKEN'] ?? '';
      const call = caller(flow.service.url, token);
      const shown = await until('the queue is there', async () => {
        const query = 'activeQueue=sessions%40here&page=1&jobsPerPage=10&status=completed';
        const { body } = await call('GET', `/admin/queues/api/queues?${query}`);
        const queue = body?.queues?.find(({ name }: { name: string }) => name === 'sessions@here');
        return queue?.jobs?.length > 0 && queue;
      });
      expect(shown.jobs.map(({ name }: { name: string }) => name)).toContain('checkpoint builder');
      await until('metrics count the checkpoint', async () =>
        /^defib_runs_finished_total\{[^}]*kind="checkpoint"[^}]*\} 1$/m.test(
          (await call('GET', '/metrics')).text,
        ),
      );
    } finally {
      await flow.stop();
    }
  });
});
