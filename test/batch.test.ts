import { expect, it } from 'vitest';
import { createBatcher } from '../src/batch.ts';
import { until } from './setup/until.ts';

/** A sender that the test answers by hand. */
function createSender() {
  const batches: { items: number[]; answer: (results: string[]) => void }[] = [];
  const send = (items: number[]) =>
    new Promise<string[]>((answer) => void batches.push({ items, answer }));
  return { batches, send };
}

const settled = () => new Promise<void>((resolve) => void setImmediate(resolve));

it('sends what comes in one turn together, in order and no more than the limit', async () => {
  const { batches, send } = createSender();
  const add = createBatcher({ max: 3, send });
  const results = Promise.all([1, 2, 3, 4].map(add));
  await settled();
  expect(batches.map(({ items }) => items)).toEqual([[1, 2, 3]]);
  batches[0]!.answer(['one', 'two', 'three']);
  await until('the rest is sent', () => batches.length === 2);
  batches[1]!.answer(['four']);

  expect(await results).toEqual(['one', 'two', 'three', 'four']);
  expect(batches.map(({ items }) => items)).toEqual([[1, 2, 3], [4]]);
});

it('gathers what comes while a batch is under way', async () => {
  const { batches, send } = createSender();
  const add = createBatcher({ max: 10, send });
  const first = add(1);
  await settled();
  const later = [];
  for (const item of [2, 3, 4]) {
    later.push(add(item));
    await settled();
  }
  expect(batches).toHaveLength(1);
  batches[0]!.answer(['one']);
  await until('the rest is sent', () => batches.length === 2);
  batches[1]!.answer(['two', 'three', 'four']);
  expect(await Promise.all([first, ...later])).toEqual(['one', 'two', 'three', 'four']);
  expect(batches.map(({ items }) => items)).toEqual([[1], [2, 3, 4]]);
});

it('sends what comes after a pause', async () => {
  const { batches, send } = createSender();
  const add = createBatcher({ max: 3, send });
  const first = add(1);
  await settled();
  batches[0]!.answer(['one']);
  await first;
  const second = add(2);
  await until('it is sent', () => batches.length === 2);
  batches[1]!.answer(['two']);
  expect(await second).toBe('two');
});

it('fails one bad item and none of its neighbours, nor those after it', async () => {
  const sent: number[][] = [];
  const add = createBatcher({
    max: 10,
    send: async (items: number[]) => {
      sent.push(items);
      if (items.includes(13)) throw new Error('bad luck');
      return items.map((item) => item * 2);
    },
  });
  expect(await add(1)).toBe(2);
  const results = await Promise.allSettled([2, 13, 4].map(add));
  expect(results).toEqual([
    { status: 'fulfilled', value: 4 },
    { status: 'rejected', reason: new Error('bad luck') },
    { status: 'fulfilled', value: 8 },
  ]);
  expect(sent).toEqual([[1], [2, 13, 4], [2], [13], [4]]);
  expect(await add(5)).toBe(10);
});
