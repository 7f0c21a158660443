import { describe, expect, test } from 'vitest';
import { acrossRounds, median, percentile, summarise } from '../../bench/measure/stats.ts';

const round = (perSecond: number, p50: number, p99: number) => ({ calls: 10, perSecond, p50, p99 });

const oneToHundred = Array.from({ length: 100 }, (_, i) => i + 1);

describe('percentile', () => {
  test('is the nearest rank, never a value that was not measured', () => {
    expect(percentile(oneToHundred, 0.5)).toBe(50);
    expect(percentile(oneToHundred, 0.99)).toBe(99);
    expect(percentile(oneToHundred, 1)).toBe(100);
    expect(percentile([7], 0.99)).toBe(7);
  });

  test('of nothing is an error, not a zero', () => {
    expect(() => percentile([], 0.5)).toThrow('no values');
  });
});

test('median takes the middle, or the mean of the two in the middle', () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(() => median([])).toThrow('no values');
});

test('summarise counts calls per second and leaves its input alone', () => {
  const latencies = [30, 10, 20];
  expect(summarise(latencies, 1_500)).toEqual({ calls: 3, perSecond: 2, p50: 20, p99: 30 });
  expect(latencies).toEqual([30, 10, 20]);
});

test('acrossRounds takes each median by itself and shows the spread', () => {
  expect(acrossRounds([round(100, 3, 9), round(300, 1, 50), round(200, 2, 7)])).toEqual({
    calls: 30,
    perSecond: 200,
    p50: 2,
    p99: 9,
    slowest: 100,
    fastest: 300,
    rounds: 3,
  });
});
