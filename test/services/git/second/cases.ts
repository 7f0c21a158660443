import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createBundle } from '../../../../src/services/git/bundle.ts';
import type { Capture } from '../../../../src/services/git/capture-types.ts';
import { capture } from '../../../../src/services/git/capture.ts';
import { moveCheckpointRef } from '../../../../src/services/git/publish.ts';
import { restore } from '../../../../src/services/git/restore/restore.ts';
import type { Restored, RestoreOptions } from '../../../../src/services/git/restore/types.ts';
import { FILE_ACTIONS } from './file-actions.ts';
import { GIT_ACTIONS } from './git-actions.ts';
import { git, type World } from './kit.ts';
import { differences, lookAt, picture, type Settings, settingsOf, type Stand } from './look.ts';
import { makeWorld } from './worlds.ts';

const SESSION = '0199f0f0-0000-7000-8000-000000000002';
const AGENT = 'second';

type Taken = { saved: Capture; stand: Stand; settings: Settings };
export type Outcome = { seed: number; problems: string[]; log: string[]; reasons: string[] };

export function act(world: World): void {
  const table = world.rng.chance(0.4) ? FILE_ACTIONS : GIT_ACTIONS;
  const name = world.rng.pick(Object.keys(table));
  try {
    table[name]?.(world);
    world.log.push(name);
  } catch {
    world.log.push(`(${name})`);
  }
}

async function take(
  world: World,
  number: number,
  previous: string | null,
  problems: string[],
): Promise<Taken> {
  const stand = lookAt(world.repo, join(world.root, 'scratch'));
  const settings = settingsOf(world.repo);
  const before = picture(world.root);
  const saved = await capture({
    worktree: world.repo,
    privateDir: join(world.root, 'private', 'session'),
    agentName: AGENT,
    sessionId: SESSION,
    number,
    previous,
    policy: { roots: [world.root] },
    minFreeBytes: 0,
    now: new Date('2026-11-21T12:00:00Z'),
  });
  problems.push(
    ...changes(before, picture(world.root)).map((row) => `capture ${number} wrote ${row}`),
  );
  // The branch keeps what only the checkpoint holds, as whoever captures sees to.
  await moveCheckpointRef({
    worktree: world.repo,
    privateDir: join(world.root, 'private', 'session'),
    policy: { roots: [world.root] },
    ref: `refs/heads/checkpoint/${AGENT}/${SESSION}`,
    commit: saved.commit,
    expected: previous,
  });
  world.log.push(`[${number}]`);
  return { saved, stand, settings };
}

const changes = (was: Stand, is: Stand): string[] =>
  differences(was, is).filter((row) => !row.startsWith('private'));

const UNSET = /^(?:core\.(?:repositoryformatversion|bare|logallrefupdates|worktree)|extensions\.)/;

export function compareSettings(
  taken: Pick<Taken, 'settings'>,
  restored: Pick<Restored, 'worktree' | 'warnings'>,
): string[] {
  const named = restored.warnings.join(' ');
  const isKept = ([key]: [string, string]): boolean =>
    !UNSET.test(key) && key !== 'core.filemode' && !key.endsWith('.url') && !named.includes(key);
  const text = (all: Settings): Stand =>
    new Map(all.filter(isKept).map(([key, value]) => [`setting ${key}`, value]));
  return differences(text(taken.settings), text(settingsOf(restored.worktree)));
}

/** What a warning names as not carried over is the user's to set again; done here, so that the rest can be compared. */
export function setAgain(
  taken: Pick<Taken, 'settings'>,
  restored: Pick<Restored, 'worktree' | 'warnings'>,
): void {
  const named = restored.warnings.find((text) => text.startsWith('Settings that were not carried'));
  for (const [key, value] of taken.settings) {
    if (!named?.includes(key) || key === 'core.worktree') continue;
    git(restored.worktree, ['config', '--replace-all', key, value]);
  }
}

async function check(
  world: World,
  taken: Taken,
  from: RestoreOptions['from'],
  how: string,
): Promise<string[]> {
  const target = join(world.root, 'private', 'restored');
  const before = picture(world.root);
  const restored = await restore({
    target,
    commit: taken.saved.commit,
    from,
    policy: { roots: [world.root] },
  }).catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))));
  if (restored instanceof Error) return [`${how}: restore refused: ${restored.message}`];
  const problems = changes(before, picture(world.root)).map((row) => `wrote ${row}`);
  problems.push(...compareSettings(taken, restored));
  setAgain(taken, restored);
  const is = lookAt(target, join(world.root, 'scratch'));
  problems.push(...differences(taken.stand, is, taken.saved.notCaptured));
  execFileSync('chmod', ['-R', 'u+rwX', target]);
  rmSync(target, { recursive: true, force: true });
  const notes = restored.warnings.filter((text) => !text.startsWith('Settings that were'));
  return problems.map((row) => `${how}: ${row}`).concat(problems.length > 0 ? notes : []);
}

/** What the remote has is not in a checkpoint: who restores a bundle fetches that from there. */
function remoteOf(world: World, { base }: Capture): string | null {
  const name = base.upstream?.remote ?? 'origin';
  const url = base.remotes.find((remote) => remote.name === name)?.url.replace('file://', '');
  return url?.startsWith(world.root) ? url : null;
}

async function checkBundle(world: World, taken: Taken): Promise<string[]> {
  const file = join(world.root, 'private', 'bundle');
  const privateDir = join(world.root, 'private', 'session');
  const { commit } = taken.saved;
  const ref = `refs/heads/checkpoint/${AGENT}/${SESSION}`;
  await createBundle({ privateDir, ref, commit, file, haves: [], maxBytes: 1e9 });
  const base = remoteOf(world, taken.saved);
  const problems = await check(world, taken, { bundle: file, ...(base && { base }) }, 'bundle');
  rmSync(file, { force: true });
  return problems;
}

/** One world, one to four captures with actions between, and two restores compared with what was seen. */
export async function runCase(seed: number): Promise<Outcome> {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'defib-second-')));
  const world = makeWorld(root, seed);
  const problems: string[] = [];
  const all: Taken[] = [];
  try {
    const captures = 1 + world.rng.below(4);
    for (let number = 1; number <= captures; number += 1) {
      for (let n = 1 + world.rng.below(6); n > 0; n -= 1) act(world);
      all.push(await take(world, number, all.at(-1)?.saved.commit ?? null, problems));
    }
    const last = all.at(-1);
    const earlier = world.rng.pick(all);
    const from = { worktree: world.repo, privateDir: join(root, 'private', 'session') };
    const bundled = world.rng.chance(0.5);
    if (last)
      problems.push(
        ...(bundled ? await checkBundle(world, last) : await check(world, last, from, 'local')),
      );
    const rest = bundled
      ? await check(world, earlier, from, 'earlier local')
      : await checkBundle(world, earlier);
    problems.push(
      ...(earlier === last ? rest : rest.map((row) => `(${all.indexOf(earlier) + 1}) ${row}`)),
    );
  } catch (error) {
    problems.push(
      `threw: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
  } finally {
    if (process.env['DEFIB_SECOND_KEEP'] === undefined && existsSync(root)) {
      execFileSync('chmod', ['-R', 'u+rwX', root]);
      rmSync(root, { recursive: true, force: true });
    } else world.log.push(root);
  }
  const reasons = all.flatMap(({ saved }) => saved.notCaptured.map(({ reason }) => reason));
  return { seed, problems, log: world.log, reasons };
}
