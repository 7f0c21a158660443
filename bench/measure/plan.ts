import type { Load } from './closed-loop.ts';

export type Plan = {
  rounds: number;
  /** A further round only starts when it is likely to end within this many milliseconds. */
  budgetMs: number;
  /** Not measured. With the most callers, so that compilers and pools are warm for every level. */
  warmUp: Load;
  levels: Load[];
};

export const full: Plan = {
  rounds: 3,
  budgetMs: 345_000,
  warmUp: { callers: 32, maxCalls: 20_000, maxMs: 1_500 },
  levels: [
    { callers: 1, maxCalls: 2_000, maxMs: 1_500 },
    { callers: 32, maxCalls: 20_000, maxMs: 2_000 },
  ],
};

/** A smoke run: every contender is started and checked, its figures mean little. */
export const quick: Plan = {
  rounds: 1,
  budgetMs: 55_000,
  warmUp: { callers: 32, maxCalls: 1_000, maxMs: 250 },
  levels: [
    { callers: 1, maxCalls: 500, maxMs: 250 },
    { callers: 32, maxCalls: 2_000, maxMs: 400 },
  ],
};

/** The most callers that a plan brings along. */
export const mostCallers = ({ warmUp, levels }: Plan): number =>
  Math.max(warmUp.callers, ...levels.map((level) => level.callers));

/** Each round begins a third further on, so that no contender always runs first or last. */
export function orderOf(names: readonly string[], round: number): string[] {
  if (names.length === 0) return [];
  const shift = Math.floor((round * names.length) / 3) % names.length;
  return [...names.slice(shift), ...names.slice(0, shift)];
}
