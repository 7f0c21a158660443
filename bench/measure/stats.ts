/** Throughput and latency of one closed loop. Rates are calls per second, times milliseconds. */
export type Summary = { calls: number; perSecond: number; p50: number; p99: number };

/** Nearest-rank percentile of values in ascending order. `fraction` lies in (0, 1]. */
export function percentile(ascending: readonly number[], fraction: number): number {
  if (ascending.length === 0) throw new Error('A percentile of no values does not exist.');
  const rank = Math.ceil(fraction * ascending.length);
  return ascending[Math.max(rank, 1) - 1] as number;
}

/** @param latencies one per call, milliseconds, any order; not changed. */
export function summarise(latencies: readonly number[], elapsedMs: number): Summary {
  const ascending = latencies.toSorted((a, b) => a - b);
  return {
    calls: ascending.length,
    perSecond: (ascending.length / elapsedMs) * 1_000,
    p50: percentile(ascending, 0.5),
    p99: percentile(ascending, 0.99),
  };
}

/** Middle value; of an even count, the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const ascending = values.toSorted((a, b) => a - b);
  const upper = Math.floor(ascending.length / 2);
  const lower = Math.floor((ascending.length - 1) / 2);
  return (percentileAt(ascending, lower) + percentileAt(ascending, upper)) / 2;
}

function percentileAt(ascending: readonly number[], index: number): number {
  const value = ascending[index];
  if (value === undefined) throw new Error('A median of no values does not exist.');
  return value;
}

export type RoundsSummary = Summary & { slowest: number; fastest: number; rounds: number };

/** The median of each figure over rounds, with the slowest and fastest round's throughput. */
export function acrossRounds(rounds: readonly Summary[]): RoundsSummary {
  const rates = rounds.map((round) => round.perSecond);
  return {
    calls: rounds.reduce((sum, round) => sum + round.calls, 0),
    perSecond: median(rates),
    p50: median(rounds.map((round) => round.p50)),
    p99: median(rounds.map((round) => round.p99)),
    slowest: Math.min(...rates),
    fastest: Math.max(...rates),
    rounds: rounds.length,
  };
}
