import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Client, Session, SessionWithAttempts } from '../../client/index.ts';
import type { Capture } from '../../services/git/capture-types.ts';
import { type Checkpoint, readCheckpoint } from '../../services/git/checkpoint.ts';
import { locateRepository } from '../../services/git/repository.ts';
import { CliError } from '../frame/errors.ts';
import { clientFor } from '../frame/service.ts';
import { restoreInto } from '../restore/into.ts';
import { newestWork } from '../restore/saved.ts';
import { maxBundle, type Ready } from './attempt.ts';
import { endMarked } from '../../end-processes.ts';
import { markOf } from '../../process-list.ts';
import type { NextCommand } from './next-command.ts';
import { type Places, placesOf, sessionsFolder, worktreesFolder } from './places.ts';
import type { Signals } from './signals.ts';
import { saveLeft } from './save-left.ts';
import { findSpot, type Saved, type Spot } from './spot.ts';
import { hostOf } from './start.ts';
import { beginNext, type Given, makeReady } from './take-up.ts';
import { OWN_MACHINE, worktreeOf } from './worktree.ts';

export type ResumedOptions = {
  client: Client;
  url: string;
  /** It waits. */
  session: SessionWithAttempts;
  options: { grace: number };
  next: NextCommand;
  signals: Signals;
  tell: (text: string) => void;
};

/**
 * Claims a waiting session, and makes it ready to be started here: in the worktree of the attempt before where
 * that is on this machine and as it was saved, else in one with what was saved.
 */
export async function beginResumed(work: ResumedOptions): Promise<Ready> {
  const { client, url, signals, tell, next } = work;
  const quiet = await quieten(work);
  const { agentName, id } = work.session;
  const given = { sessionId: id };
  const graceMs = work.options.grace * 1000;
  return await beginNext(
    { client, url, agentName, given, next, graceMs, tell, ending: signals.ending },
    (session, places) => spotFor(work, session, quiet, places),
  );
}

/** As {@link beginResumed}, with a session that a worker has claimed, and what is left saved, for this process. */
export async function takeOver(given: Given & { session: SessionWithAttempts }): Promise<Ready> {
  const { session, token, url, graceMs, tell } = given;
  const marks = session.attempts.filter(({ id }) => id !== session.id).map(({ id }) => markOf(id));
  const isQuiet = (await endMarked(marks, graceMs)).length === 0;
  const own = { client: clientFor(url, token), session, tell };
  return await makeReady(given, (_, places) =>
    spotFor(own, session, { isQuiet, left: undefined }, places),
  );
}

type Quiet = { isQuiet: boolean; left: Capture | undefined };

/**
 * Ends what lives on of the attempts before, and saves what one left that fell silent. Whatever came into the worktree
 * of one that ended by its own word is its user's.
 */
async function quieten({ session, options, tell, signals }: ResumedOptions): Promise<Quiet> {
  const { attempts } = session;
  const before = attempts.find(({ id }) => id === session.resumedFrom);
  if (!before || !isHere(before)) return { isQuiet: true, left: undefined };
  const marks = attempts.map(({ id }) => markOf(id));
  const isQuiet = (await endMarked(marks, options.grace * 1000)).length === 0;
  if (before.status !== 'timed_out') return { isQuiet, left: undefined };
  const places = placesOf(sessionsFolder(process.env), before.id);
  const left = { before, places, maxBundleBytes: maxBundle(), tell, hurry: signals.hurry };
  return { isQuiet, left: await saveLeft(left) };
}

async function spotFor(
  { client, session: waiting, tell }: Pick<ResumedOptions, 'client' | 'session' | 'tell'>,
  session: Session,
  { isQuiet, left }: Quiet,
  places: Places,
): Promise<Spot> {
  const { attempts } = waiting;
  const before = attempts.find(({ id }) => id === session.resumedFrom);
  const here = before && isHere(before) ? before.worktree : null;
  const cwd = process.cwd();
  const checkpoint = await newestWork(client, waiting).catch((error: unknown) => {
    if (error instanceof CliError && error.code === 'not_found') return undefined;
    throw error;
  });
  const commit = checkpoint?.commit ?? null;
  if (!checkpoint || commit === null) {
    // Its files were never saved: they are where it left them, if anywhere.
    const worktree = here ?? worktreeOf(cwd, process.env);
    return { worktree, cwd: here ?? cwd, place: here === null ? undefined : 'same' };
  }
  const saved = left ?? (here === null ? undefined : await savedIn(here, commit));
  if (here !== null && saved) {
    const spot = { worktree: here, cwd: here, place: undefined };
    return await findSpot({ before: spot, saved, isQuiet, session, places, tell });
  }
  const target = join(worktreesFolder(process.env), session.id);
  const { worktree, warnings } = await restoreInto(client, checkpoint, target, {});
  warnings.forEach(tell);
  tell(`What was saved is restored in ${worktree}.`);
  return { worktree, cwd: worktree, place: 'clone' };
}

const isHere = ({ host, worktree }: Session): boolean =>
  worktree !== null && host === hostOf(process.env) && existsSync(worktree);

/** What a checkpoint holds, where the repository of a worktree has it. */
async function savedIn(worktree: string, commit: string): Promise<Saved | undefined> {
  const repository = await locateRepository(worktree, OWN_MACHINE).catch(() => undefined);
  if (!repository) return undefined;
  const checkpoint: Checkpoint | null = await readCheckpoint(commit, {
    gitDir: repository.gitDir,
  }).catch(() => null);
  if (!checkpoint) return undefined;
  const { tree, indexTree, head, state } = checkpoint;
  return { commit, tree, indexTree, head, branch: state.branch, operation: state.operation };
}
