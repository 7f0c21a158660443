import { expect, it } from 'vitest';
import { createTurns } from '../../../src/services/checkpoints/turns.ts';

it('work under one key is done one after another, in order, also after a failure', async () => {
  const turns = createTurns();
  const gate = Promise.withResolvers<void>();
  const done: string[] = [];
  const first = turns('a', async () => {
    await gate.promise;
    done.push('first');
    throw new Error('failed');
  });
  const second = turns('a', async () => void done.push('second'));
  const third = turns('a', async () => void done.push('third'));
  await turns('b', async () => void done.push('another key'));
  gate.resolve();
  await expect(first).rejects.toThrow('failed');
  await Promise.all([second, third]);
  expect(done).toEqual(['another key', 'first', 'second', 'third']);
});
