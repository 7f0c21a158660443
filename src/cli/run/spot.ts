import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import type { Place } from '../../contract/place.ts';
import type { Session } from '../../client/index.ts';
import type { Capture } from '../../services/git/capture-types.ts';
import { capture } from '../../services/git/capture.ts';
import { linkWorktree } from '../../services/git/restore/link.ts';
import { restore } from '../../services/git/restore/restore.ts';
import { ownBranch } from '../frame/short-id.ts';
import { type Places, worktreesFolder } from './places.ts';
import { OWN_MACHINE } from './worktree.ts';

/** Where an attempt is at work. */
export type Spot = {
  worktree: string | null;
  cwd: string;
  /** What it is to the worktree of the attempt before. */
  place: Place | undefined;
};

/** What a worktree held when it was saved. */
export type Saved = Pick<
  Capture,
  'commit' | 'tree' | 'indexTree' | 'head' | 'branch' | 'operation'
>;

export type SpotOptions = {
  /** Where the attempt before was at work. */
  before: Spot;
  /** What was saved of that last. */
  saved: Saved | undefined;
  /** Whether nothing of an attempt before is alive there. */
  isQuiet: boolean;
  /** The session that goes on. */
  session: Session;
  places: Places;
  tell: (text: string) => void;
};

const CAPTURE_MS = 60_000;

/** The same worktree, if it holds exactly what was saved and nobody else is at work there; else a new one. */
export async function findSpot(options: SpotOptions): Promise<Spot> {
  const { before, saved, isQuiet, tell } = options;
  if (before.worktree === null || !saved) return { ...before, place: undefined };
  if (isQuiet && (await isAsSaved(options, before.worktree, saved))) {
    return { ...before, place: 'same' };
  }
  tell(
    isQuiet
      ? 'The worktree is no longer as it was saved, so it is left alone.'
      : 'Something of the last attempt is still alive in the worktree, so it is left alone.',
  );
  return await newSpot(options, before.worktree, saved);
}

/** Taken by the session that goes on, which begins from what is learnt of the files. */
async function isAsSaved(
  { session, places }: SpotOptions,
  worktree: string,
  saved: Saved,
): Promise<boolean> {
  const now = await capture({
    worktree,
    policy: OWN_MACHINE,
    privateDir: places.privateDir,
    agentName: session.agentName,
    sessionId: session.id,
    number: 1,
    previous: null,
    now: new Date(),
    deadlineMs: CAPTURE_MS,
  });
  const parts = ['tree', 'indexTree', 'head', 'branch', 'operation'] as const;
  return parts.every((part) => now[part] === saved[part]);
}

async function newSpot(
  { before, session, tell }: SpotOptions,
  source: string,
  { commit }: Saved,
): Promise<Spot> {
  const target = join(worktreesFolder(process.env), session.id);
  await mkdir(dirname(target), { recursive: true, mode: 0o700 });
  const { worktree, warnings } = await restore({
    target,
    commit,
    from: { worktree: source },
    policy: OWN_MACHINE,
  });
  const branch = ownBranch(session.id);
  const link = { worktree, of: source, commit, branch, policy: OWN_MACHINE };
  const isLinked = await linkWorktree(link);
  // What a repository of its own lacks, a linked worktree has.
  if (!isLinked) warnings.forEach(tell);
  const what = isLinked ? `a worktree of your repository on the branch ${branch}` : 'a clone';
  tell(`What was saved is restored in ${worktree}, ${what}.`);
  const cwd = sameFolder(before.cwd, source, worktree);
  return { worktree, cwd, place: isLinked ? 'worktree' : 'clone' };
}

/** The folder of a worktree that is what `folder` is of another one, if it is there. */
function sameFolder(folder: string, from: string, to: string): string {
  const inside = join(to, relative(from, folder));
  return existsSync(inside) ? inside : to;
}

/** A command whose arguments name places in the worktree, for another worktree. */
export function relocated(command: string[], from: string | null, to: string | null): string[] {
  if (from === null || to === null || from === to) return command;
  return command.map((word) => {
    const at = word.startsWith('--') ? word.indexOf('=') + 1 : 0;
    const path = word.slice(at);
    const isInside = path === from || path.startsWith(`${from}/`);
    return isInside ? word.slice(0, at) + to + path.slice(from.length) : word;
  });
}
