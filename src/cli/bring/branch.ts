import { CliError } from '../frame/errors.ts';
import { fetchCommit, type Home, isAncestor } from './home.ts';
import { tryGit } from './user-git.ts';
import type { Work } from './work.ts';

/** Of a branch with this name that somebody has changed, the next one is tried, so often. */
const MAX_TRIES = 20;

/**
 * Puts a commit of the work on a branch of its own: a new one, or the one that has it already.
 *
 * @throws CliError `no_branch`
 */
export async function putOnBranch(
  home: Home,
  work: Work,
  { name, commit }: { name: string; commit: string },
): Promise<string> {
  await fetchCommit(home, work, commit);
  for (let n = 1; n <= MAX_TRIES; n += 1) {
    const branch = n === 1 ? name : `${name}-${n}`;
    const ref = `refs/heads/${branch}`;
    // Only where there is none: an empty old value says so.
    const made = await tryGit(home.folder, ['update-ref', '--create-reflog', ref, commit, '']);
    if (made.code === 0 && (await pointsTo(home, ref, commit))) return branch;
    if (await isAncestor(home.folder, commit, ref)) return branch;
  }
  throw new CliError(
    'no_branch',
    `No branch ${name} could be made in ${home.folder}.`,
    'Remove or rename branches that are in its way, or get the work as a folder with "defib restore".',
  );
}

async function pointsTo({ folder }: Home, ref: string, commit: string): Promise<boolean> {
  const { code, stdout } = await tryGit(folder, ['rev-parse', '--quiet', '--verify', ref]);
  return code === 0 && stdout.toString('latin1').trim() === commit;
}
