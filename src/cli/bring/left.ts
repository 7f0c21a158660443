import { join } from 'node:path';
import { type Client, type SessionWithAttempts, unwrap } from '../../client/index.ts';
import { capture } from '../../services/git/capture.ts';
import { withTemporary } from '../restore/into.ts';
import { OWN_MACHINE } from '../run/worktree.ts';
import { type Home, isClean } from './home.ts';
import { tryGit } from './user-git.ts';

/**
 * Which attempt at the work has left the worktree as it is, to the byte: then nothing in it was changed since, and
 * the result was made from exactly that. Null: none, or that cannot be told.
 */
export async function leftBy(
  client: Client,
  session: SessionWithAttempts,
  home: Home,
): Promise<number | null> {
  const now = await stateOf(session, home).catch(() => null);
  if (!now) return null;
  for (const { attempt, latestCheckpointId: id } of session.attempts) {
    if (id === null) continue;
    const saved = await unwrap(client.GET('/api/checkpoints/{id}', { params: { path: { id } } }));
    if (saved.tree === now.tree && saved.head === now.head) return attempt;
  }
  return null;
}

const stateOf = ({ agentName, id }: SessionWithAttempts, { folder }: Home) =>
  withTemporary((scratch) =>
    capture({
      worktree: folder,
      privateDir: join(scratch, 'private'),
      agentName,
      sessionId: id,
      number: 1,
      previous: null,
      policy: OWN_MACHINE,
      now: new Date(),
    }),
  );

/**
 * Does something in a worktree whose changes are put aside in git's own stash, where they stay if it was done. If
 * not, they are put back as they were.
 *
 * @param work returns why it was not done; null: it was
 */
export async function withChangesAside(
  { folder }: Home,
  name: string,
  work: () => Promise<string | null>,
): Promise<string | null> {
  const before = await stashTip(folder);
  const push = ['stash', 'push', '--quiet', '--include-untracked', '-m', name];
  const { code } = await tryGit(folder, push);
  const tip = await stashTip(folder);
  if (tip === before) return `${folder} has changes of its own`;
  const why =
    code === 0 && (await isClean(folder))
      ? await work()
      : `not all of ${folder} could be put aside`;
  if (why !== null) await tryGit(folder, ['stash', 'pop', '--quiet', '--index']);
  return why;
}

/** The newest entry; null: there is none. */
async function stashTip(folder: string): Promise<string | null> {
  const { code, stdout } = await tryGit(folder, ['rev-parse', '--quiet', '--verify', 'refs/stash']);
  return code === 0 ? stdout.toString('latin1').trim() : null;
}
