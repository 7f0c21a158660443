import type { Context } from '../contenders/types.ts';
import type { Load } from '../measure/closed-loop.ts';

/**
 * What a bench process asks of the child that holds one contender. Answered one after another; the
 * end of the channel means: stop.
 */
export type Command =
  | { kind: 'start'; context: Context }
  | { kind: 'measure'; load: Load; first: number }
  | { kind: 'listen'; token: string }
  | { kind: 'recorded' };

export type Reply = { value: unknown } | { error: string };
