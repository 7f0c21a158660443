import { expect, it } from 'vitest';
import { createFairQueue } from '../src/fair-queue.ts';

it('lets the owners of what waits take turns, whoever came first', async () => {
  const queue = createFairQueue();
  const done: string[] = [];
  const gate = Promise.withResolvers<void>();
  const ask = (owner: string, name: string) =>
    queue.run(owner, async () => {
      await gate.promise;
      done.push(name);
    });
  const all = [
    ...[1, 2, 3, 4].map((n) => ask('busy', `busy ${n}`)),
    ask('late', 'late 1'),
    ask('later', 'later 1'),
    ask('late', 'late 2'),
  ];
  gate.resolve();
  await Promise.all(all);
  expect(done).toEqual(['busy 1', 'busy 2', 'late 1', 'later 1', 'busy 3', 'late 2', 'busy 4']);
});

it('goes on after a failure, which only its owner is told of', async () => {
  const queue = createFairQueue();
  const fails = queue.run('a', () => Promise.reject(new Error('no')));
  const works = queue.run('a', () => Promise.resolve('yes'));
  await expect(fails).rejects.toThrow('no');
  expect(await works).toBe('yes');
});
