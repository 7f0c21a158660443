import type { Capture } from './capture-types.ts';
import type { Checkpoint } from './checkpoint.ts';
import { writeCheckpoint, writeState } from './checkpoint.ts';
import { withoutConversions } from './conversions.ts';
import { differences, missingObjects } from './differences.ts';
import type { GitOptions } from './git.ts';
import type { Snapshot } from './snapshot.ts';
import { readSurroundings } from './surroundings.ts';
import type { Taken } from './suspects.ts';
import type { Session, UserState } from './user-state.ts';

/**
 * Turns a snapshot into a checkpoint commit, or into the previous checkpoint when nothing at all
 * changed: neither the files nor the index, HEAD or the state of a merge. (The tree alone does not
 * decide: after a commit the files are the same, and a restore to the old HEAD would lose that commit.)
 * Null when objects of the snapshot are missing.
 */
export async function record(
  session: Session,
  user: UserState,
  taken: Snapshot,
  last: Taken | null,
  git: GitOptions,
): Promise<Capture | null> {
  const { options, repository, config, dir } = session;
  const { head, staged, operation, previous } = user;
  const { state, files, base } = await readSurroundings(
    repository,
    config,
    head,
    staged,
    operation,
    taken.emptyFolders,
  );
  const stateTree = await writeState(dir, state, files);
  const shared = { tree: taken.tree, indexTree: staged.tree, stateTree, head: head.oid };
  const same = previous !== null && isSame(previous, shared);
  const counted = same && last?.commit === previous.commit ? last.filesChanged : null;
  const changes =
    counted === null ? await differences(head.oid, taken.tree, dir.objectFormat, git) : [];
  if (!same && (await missingObjects(changes, git)).length > 0) return null;
  const filesChanged = counted ?? (await withoutConversions(changes, repository, dir)).length;
  const warnings = [...user.warnings, ...taken.warnings];
  const { agentName, sessionId, number, now } = options;
  const commit = same
    ? previous.commit
    : await writeCheckpoint(dir, {
        ...shared,
        agentName,
        sessionId,
        number,
        at: now,
        previous: previous?.commit ?? null,
        stateParents: operation?.commits ?? [],
      });
  return {
    head: head.oid,
    branch: head.branch,
    commit,
    tree: taken.tree,
    indexTree: staged.tree,
    changed: !same,
    filesChanged,
    notCaptured: taken.notCaptured,
    warnings,
    operation: operation?.kind ?? null,
    base,
  };
}

function isSame(
  previous: Checkpoint,
  now: Pick<Checkpoint, 'tree' | 'indexTree' | 'stateTree' | 'head'>,
): boolean {
  return (
    previous.tree === now.tree &&
    previous.indexTree === now.indexTree &&
    previous.stateTree === now.stateTree &&
    previous.head === now.head
  );
}
