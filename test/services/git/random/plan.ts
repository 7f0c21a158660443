import * as fc from 'fast-check';
import { FILE_VERBS } from './files.ts';
import { HISTORY_VERBS } from './history-verbs.ts';
import { INDEX_VERBS } from './index-verbs.ts';
import { BASES } from './template.ts';

/** Where a verb works: the worktree, and the folder that all of a case lies in. */
export type Place = { repo: string; root: string };
/** One thing that a user, an agent or another tool does. What its state does not allow is passed over. */
export type Verb = (place: Place, path: Buffer, n: number) => void;
export type Act = { verb: string; path: Buffer; n: number };

export const VERBS: Record<string, Verb> = { ...FILE_VERBS, ...INDEX_VERBS, ...HISTORY_VERBS };

/** Does one act; a file where a folder is wanted, a branch that is not there: not every act fits. */
export function perform(place: Place, { verb, path, n }: Act): void {
  try {
    VERBS[verb]?.(place, path, n);
  } catch {
    // passed over
  }
}

const KNOWN =
  'a,b.txt,c d,dir/one,dir/two,lib/x,lib/deep/y,conflict,steps,dist/x,y.log,new,dir,lib,sub'
    .split(',')
    .map((name) => Buffer.from(name));
const ODD = [
  '-x',
  'new\nline',
  'ü',
  'A',
  '.hidden',
  'tab\t',
  '"q"',
  'x.crlf',
  ':(top)',
  'git~1',
  ' ',
]
  .map((name) => Buffer.from(name))
  .concat([Buffer.from([0xff, 0x80]), Buffer.from([0x62, 0xc3])]);
const odd = fc
  .array(fc.constantFrom(...ODD), { minLength: 1, maxLength: 3 })
  .map((parts) => Buffer.concat(parts.flatMap((p, n) => (n === 0 ? [p] : [Buffer.from('/'), p]))));
const paths = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...KNOWN) },
  { weight: 1, arbitrary: odd },
);

/** What has been wrong before is done more often. */
const OFTEN = [
  'sparse',
  'skip',
  'ignoredTracked',
  'modules',
  'submodule',
  'rebaseMerges',
  'bisect',
];

const someOf = (verbs: Record<string, Verb>): fc.Arbitrary<Act> =>
  fc.record({
    verb: fc.constantFrom(...Object.keys(verbs), ...OFTEN.filter((verb) => verb in verbs)),
    path: paths,
    n: fc.nat({ max: 59 }),
  });

const acts = fc.oneof(
  { weight: 4, arbitrary: someOf(FILE_VERBS) },
  { weight: 4, arbitrary: someOf(INDEX_VERBS) },
  { weight: 3, arbitrary: someOf(HISTORY_VERBS) },
);

/** What happens beside a capture: acts at one of its stages, or a process that does not stop. */
const beside = fc.oneof(
  { weight: 14, arbitrary: fc.constant(null) },
  {
    weight: 3,
    arbitrary: fc.record({
      stage: fc.constantFrom(
        'prepared',
        'copied',
        'seeded',
        'scanned',
        'hashed',
        'indexed',
        'committed',
      ),
      acts: fc.array(acts, { minLength: 1, maxLength: 3 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      process: fc.constantFrom('writer', 'switcher', 'committer', 'collector', 'twice'),
    }),
  },
);

const rounds = fc.record({ acts: fc.array(acts, { maxLength: 6 }), beside });

export const plans = fc.record({
  base: fc.constantFrom(...BASES),
  /** Whether the remote is gone when the captures are made. */
  away: fc.boolean(),
  before: fc.array(acts, { maxLength: 6 }),
  rounds: fc.array(rounds, { minLength: 1, maxLength: 3 }),
});

export type Plan = typeof plans extends fc.Arbitrary<infer T> ? T : never;
export type Beside = Plan['rounds'][number]['beside'];
