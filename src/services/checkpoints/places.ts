import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { markDataDir } from '../../data-dir.ts';

/** Where a worker keeps what it needs for checkpoints, all below its data folder. */
export type Places = {
  /** Private git directories, one for each session captured here. */
  git: string;
  /** Repositories with the commits that bundles build on, one for each remote. */
  mirrors: string;
  /** Files that live as long as one job. */
  scratch: string;
  /** New worktrees of resumed sessions. */
  worktrees: string;
  /** What agents that were started here print, and the prompts they began with. */
  agents: string;
};

/**
 * Makes the folders; only this user may look into them.
 *
 * @param shared another user passes through to their own below `worktrees` and `agents`, and sees no names
 */
export async function makePlaces(dataDir: string, shared = false): Promise<Places> {
  const places: Places = {
    git: join(dataDir, 'git'),
    mirrors: join(dataDir, 'mirrors'),
    scratch: join(dataDir, 'scratch'),
    worktrees: join(dataDir, 'worktrees'),
    agents: join(dataDir, 'agents'),
  };
  for (const folder of Object.values(places)) {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  }
  await markDataDir(dataDir);
  if (shared) {
    for (const folder of [dataDir, places.worktrees, places.agents]) await chmod(folder, 0o711);
  }
  return places;
}

export const privateDirOf = (places: Places, sessionId: string): string =>
  join(places.git, sessionId);
