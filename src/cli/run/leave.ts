import { rm } from 'node:fs/promises';
import { checkpointRef } from '../../services/git/names.ts';
import { deleteLocalRef } from '../../services/git/prune.ts';
import { messageOf } from './deliver.ts';
import { createOutbox } from './outbox.ts';
import type { Places, SavedSession } from './places.ts';
import { OWN_MACHINE } from './worktree.ts';

/**
 * Puts away what a session leaves on this machine. After success nothing stays. Else the branch in the
 * worktree's repository does, which a resume on this machine goes on from, until `forget` removes it.
 */
export async function leaveBehind(
  saved: SavedSession,
  places: Places,
  end: { sent: boolean; completed: boolean; tell: (text: string) => void },
): Promise<void> {
  try {
    if (!end.sent) {
      const left = createOutbox(places.outbox).size();
      end.tell(
        `Not sent: ${left} of what the service must know, in ${places.outbox}. "defib sync" sends it, and so does the next "defib run".`,
      );
    } else if (end.completed || saved.worktree === null) {
      await forget(saved, places);
    } else {
      for (const folder of [places.privateDir, places.outbox, places.agent]) {
        await rm(folder, { recursive: true, force: true });
      }
    }
  } catch (error) {
    end.tell(`Not all was put away: ${messageOf(error)}`);
  }
}

/** Removes all that is left of a session, the branch only if it is where the last checkpoint left it. */
export async function forget(saved: SavedSession, places: Places): Promise<void> {
  const { worktree, commit, agentName, id } = saved;
  if (worktree !== null && commit !== null) {
    const own = { ref: checkpointRef(agentName, id), commit };
    // A worktree that is gone has taken the branch along, or has left it to its repository.
    await deleteLocalRef(worktree, OWN_MACHINE, own).catch(() => undefined);
  }
  await rm(places.folder, { recursive: true, force: true });
}
