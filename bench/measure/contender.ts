import type { Host } from '../host/open.ts';
import type { Load } from './closed-loop.ts';
import type { Plan } from './plan.ts';
import type { Summary } from './stats.ts';

/** Figures of one contender in one round, by number of callers. */
export type Figures = Map<number, Summary>;

/**
 * Warms up, measures each level, then holds the contender to its word: as many passes must be on
 * record as calls were answered.
 *
 * @throws Error when a call failed or an answered pass is not on record.
 */
export async function measureContender(
  host: Pick<Host, 'measure' | 'recorded'>,
  { warmUp, levels }: Pick<Plan, 'warmUp' | 'levels'>,
): Promise<Figures> {
  let first = 1;
  const measure = async (load: Load): Promise<Summary> => {
    const summary = await host.measure(load, first);
    first += summary.calls;
    return summary;
  };
  await measure(warmUp);
  const figures: Figures = new Map();
  for (const level of levels) figures.set(level.callers, await measure(level));
  const answered = first - 1;
  const recorded = await host.recorded();
  if (recorded !== undefined && recorded < answered) {
    throw new Error(`${answered} calls were answered, but only ${recorded} are on record.`);
  }
  return figures;
}
