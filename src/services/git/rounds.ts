import { lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { CaptureStage } from './capture-types.ts';
import { DEFAULT_CAPS, DEFAULT_DEADLINE_MS } from './capture-types.ts';
import type { GitOptions } from './git.ts';
import { splitNul } from './git.ts';
import { takeHollow } from './hollow.ts';
import type { PrivateDir } from './private-dir.ts';
import { privateGit, setPrivateHead } from './private-dir.ts';
import { reconcile } from './reconcile.ts';
import { seedIndex } from './seed.ts';
import type { Look } from './scan.ts';
import type { Snapshot } from './snapshot.ts';
import { lookAround, snapshot } from './snapshot.ts';
import type { Moved, Start } from './still.ts';
import { isStill, markStart, movedWarnings, whatMoved } from './still.ts';
import { readSubmodules } from './submodules.ts';
import type { Known } from './suspects.ts';
import { changedSuspects, forgetStat, suspectsIn } from './suspects.ts';
import type { Session, UserState } from './user-state.ts';
import { readUserState } from './user-state.ts';
import { absolute, inBatches } from './vet.ts';

/** What was known of the private index before a round, and the tree that it made. */
export type Before = Known & { tree: string };

export type Round = {
  user: UserState;
  look: Look;
  taken: Snapshot;
  start: Start;
  /** The user's index that the private one is in line with, and what is tracked and not there. */
  userKey: string;
  missing: Buffer[];
};

/** Files that are always being written (a log, a build) would hold a capture up for ever. */
const TRIES = 3;
/** How long a switch, a merge or a commit is waited for. Milliseconds. */
const PATIENCE_MS = 3_000;
const PAUSE_MS = 50;
const MAX_PAUSE_MS = 500;
/** With more tracked paths gone than this, the indexes are compared each time. */
const MAX_MISSING = 5_000;

/**
 * Reads HEAD, index and worktree so that they belong together: when something moved meanwhile, all are read again,
 * which costs little, as the private index knows the rest by then. What never held still is a warning.
 */
export async function takeStill(
  session: Session,
  index: string,
  known: Before | null,
  git: GitOptions,
): Promise<Round> {
  const { repository, dir, options } = session;
  const began = performance.now();
  const deadlineMs = options.deadlineMs ?? DEFAULT_DEADLINE_MS;
  let before = known;
  let moved: Moved | null = null;
  for (let n = 1; ; n += 1) {
    const round = await takeRound(session, index, before, git);
    moved = await whatMoved(repository, dir, round.start, round.taken.seen, moved);
    if (isStill(moved)) return round;
    const spent = performance.now() - began;
    const patient = n < TRIES || (!isOnlyFiles(moved) && spent < PATIENCE_MS);
    if (!patient || spent > deadlineMs / 2) return withWarnings(round, moved);
    await pause(Math.min(PAUSE_MS * 2 ** (n - 1), MAX_PAUSE_MS));
    before = { ...(await knownOf(round, index, dir)), tree: round.taken.tree };
  }
}

const isOnlyFiles = (moved: Moved): boolean => !moved.head && !moved.index && !moved.git;

function withWarnings(round: Round, moved: Moved): Round {
  const warnings = [...round.taken.warnings, ...movedWarnings(moved)];
  return { ...round, taken: { ...round.taken, warnings } };
}

/** What is known of the index that a round left. */
export async function knownOf(round: Round, index: string, dir: PrivateDir): Promise<Known> {
  const { start, userKey, missing } = round;
  const suspects = await suspectsIn(index, start.atNs, dir);
  return { sinceNs: start.atNs, suspects, userKey, missing };
}

async function takeRound(
  session: Session,
  index: string,
  before: Before | null,
  git: GitOptions,
): Promise<Round> {
  const { repository, dir, options, signal } = session;
  const start = await markStart(repository, dir);
  const looked = before
    ? await lookLater(session, index, before, start, git)
    : await lookFirst(session, index, git);
  const { user } = looked;
  const hollow = await takeHollow(session, index, before === null, looked.look.scan, git);
  const look = withChanged(looked.look, hollow);
  await reached(session, 'scanned');
  const submodules = await readSubmodules(repository, dir, user.staged, options.policy, signal);
  const caps = { ...DEFAULT_CAPS, ...options.caps };
  const knownTree = hollow.length > 0 ? null : looked.knownTree;
  const taken = await snapshot({ repository, dir, look, submodules, caps, knownTree }, git, () =>
    reached(session, 'hashed'),
  );
  await reached(session, 'indexed');
  const missing = unique([...looked.missing, ...taken.seen.gone]);
  const few = missing.length <= MAX_MISSING;
  return {
    user,
    look,
    taken,
    start,
    userKey: few ? start.index : '',
    missing: few ? missing : [],
  };
}

function withChanged(look: Look, more: readonly Buffer[]): Look {
  const { scan } = look;
  return more.length === 0
    ? look
    : { ...look, scan: { ...scan, changed: [...scan.changed, ...more] } };
}

function unique(paths: readonly Buffer[]): Buffer[] {
  return [...new Map(paths.map((path) => [path.toString('latin1'), path])).values()];
}

type Looked = { user: UserState; look: Look; knownTree: string | null; missing: Buffer[] };

/** The first round starts from the user's index, and learns what is ignored before it runs find(1). */
async function lookFirst(session: Session, index: string, git: GitOptions): Promise<Looked> {
  const { repository, dir, config, signal, staged } = session;
  const user = await readUserState(session);
  await reached(session, 'copied');
  const copyGit = privateGit(dir, repository, staged, signal);
  await seedIndex(index, repository, dir, config, copyGit);
  await setPrivateHead(dir, user.head.oid);
  await reached(session, 'seeded');
  return { user, look: await lookAround(repository, [], git), knownTree: null, missing: [] };
}

/** A later round goes on with the private index as the last one left it. */
async function lookLater(
  session: Session,
  index: string,
  before: Before,
  start: Start,
  git: GitOptions,
): Promise<Looked> {
  const { repository, dir } = session;
  const look = async () => {
    await forgetStat(await changedSuspects(repository.worktree, before), git);
    const told = await inLine(session, index, before, start, git);
    return { told, look: await lookAround(repository, await ignoredBefore(dir), git) };
  };
  const [user, seen] = await Promise.all([readUserState(session), look()]);
  await reached(session, 'copied');
  const { changed, missing } = seen.told;
  return { user, look: seen.look, knownTree: changed ? null : before.tree, missing };
}

/** Brings the private index in line with the user's, if that changed or something tracked came back. */
async function inLine(
  session: Session,
  index: string,
  before: Before,
  start: Start,
  git: GitOptions,
): Promise<{ changed: boolean; missing: Buffer[] }> {
  const { worktree } = session.repository;
  const back = await inBatches(before.missing, (path) =>
    lstat(absolute(worktree, path)).catch(() => null),
  );
  const settled = before.userKey === start.index && back.every((info) => info === null);
  return settled
    ? { changed: false, missing: [...before.missing] }
    : reconcile(session, index, git);
}

export const ignoredFile = (dir: PrivateDir): string => join(dir.path, 'ignored-folders');

async function ignoredBefore(dir: PrivateDir): Promise<Buffer[]> {
  return splitNul(await readFile(ignoredFile(dir)).catch(() => Buffer.alloc(0)));
}

async function reached({ options }: Session, stage: CaptureStage): Promise<void> {
  await options.onStage?.(stage);
}
