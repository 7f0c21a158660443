import { expect, test } from 'vitest';
import { createFlights } from '../../../src/services/sync/flights.ts';

const fail = (error: unknown): never => {
  throw error;
};

test('who joins a flight under way does not start another', async () => {
  const flights = createFlights(2, fail);
  let started = 0;
  const gate = Promise.withResolvers<void>();
  const fly = () => {
    started += 1;
    return gate.promise;
  };
  const both = [flights.join('a', fly), flights.join('a', fly)];
  expect(flights.has('a')).toBe(true);
  gate.resolve();
  await Promise.all(both);
  expect(started).toBe(1);
  expect(flights.has('a')).toBe(false);
});

test('never more run at once than allowed, and all get their turn', async () => {
  const flights = createFlights(3, fail);
  let flying = 0;
  let most = 0;
  const fly = async () => {
    flying += 1;
    most = Math.max(most, flying);
    await new Promise((later) => setImmediate(later));
    flying -= 1;
  };
  const first = Array.from({ length: 10 }, (_, index) => flights.join(`a${index}`, fly));
  await first[0];
  const second = Array.from({ length: 10 }, (_, index) => flights.join(`b${index}`, fly));
  await Promise.all([...first, ...second]);
  expect(most).toBe(3);
});

test('a flight that crashes is reported and joined without harm', async () => {
  const errors: unknown[] = [];
  const flights = createFlights(1, (error) => errors.push(error));
  await flights.join('a', () => Promise.reject(new Error('crash')));
  expect(errors).toEqual([new Error('crash')]);
  let flown = false;
  await flights.join('a', async () => {
    flown = true;
  });
  expect(flown).toBe(true);
});

test('slow ones keep no place from the others', async () => {
  const flights = createFlights(1, fail, 2);
  const gate = Promise.withResolvers<void>();
  const slow = Array.from({ length: 5 }, (_, index) =>
    flights.join(`slow${index}`, () => gate.promise, { slow: true }),
  );
  await flights.join('quick', () => Promise.resolve());
  gate.resolve();
  await Promise.all(slow);
});

test('one that is to go on does so among the slow ones, behind those that wait there', async () => {
  const flights = createFlights(1, fail, 1);
  const order: string[] = [];
  const long = flights.join('long', async (_signal, lane) => {
    order.push(`long ${lane.slow}`);
    return order.filter((entry) => entry.startsWith('long')).length < 3;
  });
  const other = flights.join('other', async () => void order.push('other'), { slow: true });
  await Promise.all([long, other]);
  expect(order).toEqual(['long false', 'other', 'long true', 'long true']);
});

test('closing stops what is under way, and starts nothing that waits', async () => {
  const flights = createFlights(1, fail);
  const started: string[] = [];
  const fly = (name: string) => async (signal: AbortSignal) => {
    started.push(name);
    await new Promise<void>((done) => signal.addEventListener('abort', () => done()));
  };
  const both = [flights.join('a', fly('a')), flights.join('b', fly('b'))];
  await flights.close();
  await Promise.all(both);
  expect(started).toEqual(['a']);
});
