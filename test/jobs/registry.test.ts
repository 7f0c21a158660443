import { describe, expect, it } from 'vitest';
import { checkRegistry, jobs, type RegisteredJob } from '../../src/jobs/registry.ts';
import { HOUSEKEEPING_QUEUE, RUN_QUEUES, TIMEOUT_WATCH_QUEUE } from '../../src/jobs/queues.ts';

const job = (queue: string): RegisteredJob => ({
  queue,
  perHost: false,
  concurrency: undefined,
  run: () => Promise.resolve(),
});

describe('the job registry', () => {
  it('serves every queue once', () => {
    checkRegistry(jobs, [
      ...new Set(Object.values(RUN_QUEUES)),
      HOUSEKEEPING_QUEUE,
      TIMEOUT_WATCH_QUEUE,
    ]);
  });

  it.each([
    ['a queue without a job', ['a'], ['a', 'b'], 'queue "b" has no job'],
    ['a queue with two jobs', ['a', 'a'], ['a'], 'queue "a" has two jobs'],
    ['a job without a queue', ['a', 'b'], ['a'], 'job for queue "b", which is never opened'],
  ])('refuses %s', (_what, served, queues, message) => {
    expect(() => checkRegistry(served.map(job), queues)).toThrow(message);
  });

  it('refuses a payload that does not fit its schema before anything runs', async () => {
    const [heartbeat] = jobs;
    const run = async () => heartbeat!.run({} as never, { runId: 'x' }, AbortSignal.abort());
    await expect(run()).rejects.toThrow('runId');
  });
});
