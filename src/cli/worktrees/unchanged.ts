import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client, SessionWithAttempts } from '../../client/index.ts';
import { capture } from '../../services/git/capture.ts';
import { git } from '../bring/user-git.ts';
import { withTemporary } from '../restore/into.ts';
import { newestWork } from '../restore/saved.ts';
import { OWN_MACHINE } from '../run/worktree.ts';

/**
 * Whether a worktree is as the newest checkpoint of its session has it: the same HEAD and the same files, and no
 * commits beside it that no remote has. What cannot be told counts as changed.
 */
export async function hasWhatIsSaved(
  client: Client,
  session: SessionWithAttempts,
  worktree: string,
): Promise<boolean> {
  try {
    const saved = await newestWork(client, session);
    const linked = (await lstat(join(worktree, '.git'))).isFile();
    const own = ['--exclude=checkpoint/*', '--branches', '--glob=refs/stash'];
    const elsewhere = ['--not', '--exclude=*/checkpoint/*', '--remotes', 'HEAD'];
    const found = await git(worktree, ['rev-list', '-n', '1', ...own, ...elsewhere]);
    // What a linked worktree has on branches stays in the repository that it belongs to.
    if (!linked && found.length > 0) return false;
    return await withTemporary(async (scratch) => {
      const { tree, head } = await capture({
        worktree,
        privateDir: join(scratch, 'private'),
        agentName: session.agentName,
        sessionId: session.id,
        number: 1,
        previous: null,
        policy: OWN_MACHINE,
        now: new Date(),
      });
      return tree === saved.tree && head === saved.head;
    });
  } catch {
    return false;
  }
}
