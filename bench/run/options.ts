import { parseArgs } from 'node:util';
import { contenderNames } from '../contenders/index.ts';
import type { Plan } from '../measure/plan.ts';
import { full, quick } from '../measure/plan.ts';

export type Options = { plan: Plan; only: string[] | undefined; json: string | undefined };

export const USAGE = `npm run roundtrip -- [--quick] [--rounds N] [--only name,name] [--json file]
Contenders: ${contenderNames().join(', ')}`;

/** @throws Error with what is wrong with the arguments. */
export function parseOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      only: { type: 'string' },
      json: { type: 'string' },
    },
  });
  const base = values.quick ? quick : full;
  const rounds = values.rounds === undefined ? base.rounds : Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error('--rounds takes a whole number.');
  const only = values.only?.split(',');
  const unknown = only?.filter((name) => !contenderNames().includes(name)) ?? [];
  if (unknown.length > 0) throw new Error(`No such contender: ${unknown.join(', ')}.`);
  return { plan: { ...base, rounds }, only, json: values.json };
}
