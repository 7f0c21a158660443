import { expect, it } from 'vitest';
import { createGate, createSlots } from '../../src/jobs/slots.ts';

it('gives a place back while its work only waits, and is idle when that is done too', async () => {
  const slots = createSlots(() => undefined);
  const waits = Promise.withResolvers<void>();
  let done = false;
  await slots.use(async (leave) => {
    leave();
    await waits.promise;
    done = true;
  });
  expect(done).toBe(false);
  const idle = slots.idle().then(() => done);
  waits.resolve();
  expect(await idle).toBe(true);
});

it('tells of a failure whoever has the place, or after it was left the log', async () => {
  const failures: unknown[] = [];
  const slots = createSlots((error) => failures.push(error));
  await expect(slots.use(() => Promise.reject(new Error('in place')))).rejects.toThrow('in place');
  await slots.use(async (leave) => {
    leave();
    await Promise.resolve();
    throw new Error('left');
  });
  await slots.idle();
  expect(failures).toMatchObject([{ message: 'left' }]);
});

it('lets so many of one agent in, and the next one when one is done', async () => {
  const gate = createGate(2);
  let left = 0;
  const enter = (id: string, agentName = 'busy') =>
    gate.enter({ id, agentName }, () => (left += 1));
  expect([await enter('1'), await enter('2'), await enter('3', 'other')]).toEqual([
    true,
    true,
    true,
  ]);
  const [third, fourth] = [enter('4'), enter('5')];
  // The queue may hand over a run again while it waits.
  expect(await enter('4')).toBe(false);
  expect(left).toBe(2);
  gate.pass('busy');
  expect(await third).toBe(true);
  gate.close();
  expect(await fourth).toBe(false);
  expect(await enter('6')).toBe(false);
});
