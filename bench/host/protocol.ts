import type { Load } from '../measure/closed-loop.ts';
import type { Context } from '../contenders/types.ts';

/** What a bench process asks of the child that holds one contender. Answered one after another. */
export type Command =
  | { kind: 'start'; context: Context }
  | { kind: 'measure'; load: Load; first: number }
  | { kind: 'listen'; token: string }
  | { kind: 'recorded' }
  | { kind: 'stop' };

export type Reply = { value: unknown } | { error: string };
