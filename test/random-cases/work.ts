import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import type { NotCaptured } from '../../src/services/git/vet.ts';
import { withBeside } from '../services/git/random/beside.ts';
import { HERE } from '../services/git/random/case.ts';
import { differences as unlike } from '../services/git/random/compare.ts';
import { type Beside, perform, type Plan, plans } from '../services/git/random/plan.ts';
import { ask } from '../services/git/random/run.ts';
import { type Stand, standOf } from '../services/git/random/stand.ts';
import { begin, removeRemote } from '../services/git/random/template.ts';
import { act, compareSettings, setAgain } from '../services/git/second/cases.ts';
import { Rng } from '../services/git/second/kit.ts';
import { differences, lookAt, settingsOf } from '../services/git/second/look.ts';
import { makeWorld } from '../services/git/second/worlds.ts';

/** What a restore is judged by: where it lies, and what was said to be missing. */
export type Restored = { worktree: string; warnings: string[]; notCaptured: NotCaptured[] };

/** Random work in one repository, with the comparer of its generator. */
export type RandomWork = {
  repo: string;
  rng: Rng;
  log: string[];
  /** How many checkpoints are sent. */
  checkpoints: number;
  /** Does what comes before checkpoint `n` (from 0 on), or, for n = `checkpoints`, after the last one. */
  change(n: number): void;
  /** Sends checkpoint `n`, in some cases while another process is at work in the repository. */
  send<T>(n: number, request: () => Promise<T>): Promise<T>;
  /** Remembers how the repository stands now. */
  remember(): void;
  /** What the source, or its copy, has that differs from what is remembered, in words. */
  sourceChanges(): string[];
  differences(restored: Restored): string[];
};

/**
 * Even seeds work as `second` does, odd ones as `random`, which has partial clones and processes beside. What
 * several cases begin from is kept in `store`.
 */
export function randomWork(root: string, seed: number, store: string): RandomWork {
  return seed % 2 === 0 ? workOfSecond(root, seed) : workOfPlan(realpathSync(root), seed, store);
}

function workOfSecond(root: string, seed: number): RandomWork {
  const world = makeWorld(root, seed);
  const { repo, rng, log } = world;
  const look = (at: string) => lookAt(at, join(root, 'scratch'));
  let stand = look(repo);
  let settings = settingsOf(repo);
  return {
    repo,
    rng,
    log,
    checkpoints: 1 + rng.below(4),
    change: () => {
      for (let n = rng.below(6); n > 0; n -= 1) act(world);
    },
    send: (_, request) => request(),
    remember: () => {
      stand = look(repo);
      settings = settingsOf(repo);
    },
    sourceChanges: () => differences(stand, look(repo)),
    differences: (restored) => {
      const wrong = compareSettings({ settings }, restored);
      setAgain({ settings }, restored);
      return [...wrong, ...differences(stand, look(restored.worktree), restored.notCaptured)];
    },
  };
}

/** What a warning says of a setting is no difference. */
const untold = (rows: string[], warnings: readonly string[]): string[] =>
  warnings.some((text) => text.includes('The setting index.sparse is off'))
    ? rows.filter((row) => !row.startsWith('settings') || !row.includes('index.sparse='))
    : rows;

/** Changes at a stage of a capture need a hook in it: those belong to the test of the capture alone. */
const fromOutside = (beside: Beside): Beside =>
  beside && 'process' in beside && beside.process !== 'twice' ? beside : null;

function workOfPlan(root: string, seed: number, store: string): RandomWork {
  const [plan] = fc.sample(plans, { seed, numRuns: 1 }) as [Plan];
  const rng = new Rng(seed);
  const { repo } = begin(plan.base, root, store);
  const log: string[] = [plan.base];
  for (const each of plan.before) perform({ repo, root }, each);
  ask(repo, ['add', '-A']);
  ask(repo, ['commit', '-q', '-m', 'before']);
  if (plan.away) {
    removeRemote(root);
    log.push('away');
  }
  let stand: Stand = standOf(repo);
  const compare = (now: Stand, listed: readonly NotCaptured[]) => unlike(stand, now, listed, HERE);
  return {
    repo,
    rng,
    log,
    checkpoints: plan.rounds.length,
    change: (n) => {
      // Nothing comes after the last checkpoint in half of the cases, so that it is the one restored.
      const acts = plan.rounds[n]?.acts ?? (rng.chance(0.5) ? plan.before : []);
      for (const each of acts) {
        perform({ repo, root }, each);
        log.push(each.verb);
      }
    },
    send: (n, request) => {
      const beside = fromOutside(plan.rounds[n]?.beside ?? null);
      if (beside && 'process' in beside) log.push(`beside ${beside.process}`);
      return withBeside({ repo, root }, beside, request);
    },
    remember: () => {
      stand = standOf(repo);
    },
    sourceChanges: () => compare(standOf(repo), []),
    differences: ({ worktree, notCaptured, warnings }) =>
      untold(compare(standOf(worktree), notCaptured), warnings),
  };
}
