import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createBundle } from '../../../../src/services/git/bundle.ts';
import type { Capture } from '../../../../src/services/git/capture-types.ts';
import { checkpointRef } from '../../../../src/services/git/names.ts';
import { moveCheckpointRef } from '../../../../src/services/git/publish.ts';
import type { RestoreOptions } from '../../../../src/services/git/restore/types.ts';
import type { Sandbox } from '../helpers.ts';
import { AGENT, captureIn, pictureOf, restoreFrom, SESSION } from '../helpers.ts';
import { withBeside } from './beside.ts';
import { differences } from './compare.ts';
import { goOn, goOnInCopy, isUnderWay } from './go-on.ts';
import type { Beside, Plan } from './plan.ts';
import { perform } from './plan.ts';
import { ask } from './run.ts';
import type { Stand } from './stand.ts';
import { standOf } from './stand.ts';
import { begin, removeRemote } from './template.ts';

const REF = checkpointRef(AGENT, SESSION);
/** What a copy on the same machine has of a worktree. */
export const HERE = [
  'files',
  'index',
  'head',
  'branch',
  'operation',
  'status',
  'refs',
  'stash',
  'settings',
] as const;
/** A bundle alone holds what the checkpoint reaches, and none of the repository's other branches. */
const ELSEWHERE = ['files', 'index', 'head', 'branch', 'operation'] as const;

type Taken = { saved: Capture; stand: Stand };

/** Runs one case and returns what went wrong, in words; `store` keeps what several cases begin from. */
export async function runCase(plan: Plan, store: string): Promise<string[]> {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'defib-case-')));
  try {
    const box = begin(plan.base, root, store);
    for (const act of plan.before) perform(box, act);
    ask(box.repo, ['add', '-A']);
    ask(box.repo, ['commit', '-q', '-m', 'before']);
    if (plan.away) removeRemote(root);
    return await runRounds(box, plan);
  } finally {
    rmSync(root, { recursive: true, force: true, maxRetries: 10 });
  }
}

async function runRounds(box: Sandbox, plan: Plan): Promise<string[]> {
  const taken: Taken[] = [];
  const all: string[] = [];
  for (const round of plan.rounds) {
    for (const act of round.acts) perform(box, act);
    if (round.beside !== null) {
      const found = await disturbedRound(box, round.beside, taken);
      all.push(...found.map((text) => `beside: ${text}`));
    }
    all.push(...(await quietRound(box, plan, taken)));
  }
  const [first] = taken;
  if (!first || taken.length === 1) return all;
  const found = await compareRestored(box, first, 'first', {}, [
    'files',
    'index',
    'head',
    'branch',
  ]);
  return [...all, ...found.map((text) => `the first again: ${text}`)];
}

const attempted = async <T>(what: string, work: () => Promise<T>): Promise<T | string[]> => {
  try {
    return await work();
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : '';
    return [`${what}: ${error instanceof Error ? error.message : String(error)} ${cause}`];
  }
};

/** A capture while something else is at work: whatever it says is saved can be restored. */
async function disturbedRound(box: Sandbox, beside: Beside, taken: Taken[]): Promise<string[]> {
  const saved = await attempted('capture', () =>
    withBeside(box, beside, (more) => captureIn(box, { ...following(taken), ...more })),
  );
  if (Array.isArray(saved)) return saved;
  const restored = await attempted('restore', () =>
    restoreFrom(box, saved.commit, { target: join(box.root, 'disturbed') }),
  );
  rmSync(join(box.root, 'disturbed'), { recursive: true, force: true });
  if (Array.isArray(restored)) return restored;
  const mixed = beside && 'process' in beside && beside.process === 'switcher';
  if (!mixed || saved.warnings.length > 0) return [];
  const tree = ask(box.repo, ['rev-parse', `${saved.head}^{tree}`]).out.trim();
  return saved.indexTree === tree ? [] : [`index and HEAD are of two branches, without a warning`];
}

const following = (taken: readonly Taken[]) => ({
  number: taken.length + 1,
  previous: taken.at(-1)?.saved.commit ?? null,
});

async function quietRound(box: Sandbox, plan: Plan, taken: Taken[]): Promise<string[]> {
  const stand = standOf(box.repo);
  const before = pictureOf(box.repo);
  const saved = await attempted('capture', () => captureIn(box, following(taken)));
  if (Array.isArray(saved)) return saved;
  const touched = changes(before, pictureOf(box.repo));
  const found = touched.map((path) => `the capture changed ${path}`);
  found.push(...(await publish(box, saved.commit, taken)));
  const now = { saved, stand };
  found.push(...(await compareRestored(box, now, 'here', {}, HERE, plan.base !== 'linked')));
  taken.push(now);
  const last = taken.length === plan.rounds.length;
  return last ? [...found, ...(await fromBundle(box, plan, now))] : found;
}

function changes(before: Map<string, string>, after: Map<string, string>): string[] {
  const keys = new Set([...before.keys(), ...after.keys()]);
  return [...keys].filter((key) => before.get(key) !== after.get(key));
}

/** The one branch of ours, and objects that were not there. */
const isOwn = (path: string, before: Map<string, string>): boolean =>
  path.startsWith('.git/refs/heads/checkpoint') ||
  (/^\.git\/objects\/../.test(path) && !before.has(path));

/** Moves the branch of the checkpoint. A user's branch named `checkpoint` stands in its way. */
async function publish(box: Sandbox, commit: string, taken: readonly Taken[]): Promise<string[]> {
  const before = pictureOf(box.repo);
  const moved = await attempted('move', () =>
    moveCheckpointRef({
      worktree: box.repo,
      privateDir: box.privateDir,
      policy: { roots: [box.root] },
      ref: REF,
      commit,
      expected: taken.at(-1)?.saved.commit ?? null,
    }),
  );
  if (Array.isArray(moved)) {
    const blocked = ask(box.repo, ['rev-parse', '-q', '--verify', 'refs/heads/checkpoint']);
    return blocked.code === 0 ? [] : moved;
  }
  const written = changes(before, pictureOf(box.repo)).filter((path) => !isOwn(path, before));
  return written.map((path) => `publishing changed ${path}`);
}

async function fromBundle(box: Sandbox, plan: Plan, now: Taken): Promise<string[]> {
  const file = join(box.root, 'saved.bundle');
  const bundle = await attempted('bundle', () =>
    createBundle({
      privateDir: box.privateDir,
      ref: REF,
      commit: now.saved.commit,
      file,
      haves: [],
      maxBytes: 100_000_000,
    }),
  );
  // What a partial clone never fetched cannot be packed: it stays where it is, and is not called stored.
  if (Array.isArray(bundle)) return plan.base.includes('partial') ? [] : bundle;
  return compareRestored(box, now, 'bundle', { from: { bundle: file } }, ELSEWHERE);
}

async function compareRestored(
  box: Sandbox,
  { saved, stand }: Taken,
  name: string,
  over: Partial<RestoreOptions>,
  parts: readonly (keyof Stand)[],
  andOn = false,
): Promise<string[]> {
  const target = join(box.root, name);
  try {
    const restored = await attempted(`restore (${name})`, () =>
      restoreFrom(box, saved.commit, { target, ...over }),
    );
    if (Array.isArray(restored)) return restored;
    const found = differences(stand, standOf(target), saved.notCaptured, parts);
    if (found.length > 0 || !andOn || !isUnderWay(stand))
      return found.map((text) => `${name}: ${text}`);
    const there = goOnInCopy(box.repo, box.root);
    const here = goOn(target);
    const codes =
      there.codes.join() === here.codes.join() ? [] : [`codes ${there.codes} became ${here.codes}`];
    const after = differences(there.stand, here.stand, saved.notCaptured, [
      'files',
      'index',
      'head',
      'branch',
      'refs',
    ]);
    return [...codes, ...after].map((text) => `going on: ${text}`);
  } finally {
    rmSync(target, { recursive: true, force: true });
  }
}
