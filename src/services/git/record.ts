import { baseRemote } from './base-remote.ts';
import type { Capture } from './capture-types.ts';
import type { Checkpoint } from './checkpoint.ts';
import { STATE, writeCheckpoint, writeState } from './checkpoint.ts';
import { withoutConversions } from './conversions.ts';
import type { Difference } from './differences.ts';
import { differences, missingObjects } from './differences.ts';
import type { GitOptions } from './git.ts';
import type { Snapshot } from './snapshot.ts';
import { absentPaths, readBase, readSurroundings } from './surroundings.ts';
import type { Taken } from './suspects.ts';
import type { TreeFiles } from './objects.ts';
import { readUserRefs } from './user-refs.ts';
import type { Session, UserState } from './user-state.ts';
import type { NotCaptured } from './vet.ts';
import { isOnlyNote } from './vet.ts';

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
  const base = await readBase(repository, config, head, git.signal);
  const remote = baseRemote(base)?.name;
  const refs = await readUserRefs({ repository, dir, head, operation, remote }, git);
  const index = git.indexFile ?? '';
  const absent = await absentPaths(repository, staged, index, dir.objectFormat);
  const { state, files } = await readSurroundings(
    repository,
    config,
    head,
    staged,
    operation,
    refs,
    base,
    taken.emptyFolders,
    absent,
  );
  const notCaptured = [...taken.notCaptured, ...operation.notCaptured, ...refs.notCaptured];
  const stateTree = await writeState(dir, state, new Map([...files, ...leftOut(notCaptured)]));
  const shared = { tree: taken.tree, indexTree: staged.tree, stateTree, head: head.oid };
  const same = previous !== null && isSame(previous, shared);
  const counted = same && last?.commit === previous.commit ? last.filesChanged : null;
  const changes =
    counted === null ? await differences(head.oid, taken.tree, dir.objectFormat, git) : [];
  // Without notes of the last capture, also what was recorded before is not believed to be whole.
  const wanted = withoutPaths(changes, absent);
  if ((!same || last === null) && (await missingObjects(wanted, git)).length > 0) return null;
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
        stateParents: refs.parents,
      });
  return {
    head: head.oid,
    branch: head.branch,
    commit,
    tree: taken.tree,
    indexTree: staged.tree,
    changed: !same,
    filesChanged,
    notCaptured,
    warnings,
    operation: operation.kind,
    base,
  };
}

/**
 * What could not be saved is part of the state: a checkpoint is another one when more is missing from it, so that
 * whoever goes on is told. Sizes and the like are left out, as a log that grows is the same loss.
 */
function leftOut(notCaptured: readonly NotCaptured[]): TreeFiles {
  const lines = notCaptured
    .filter((entry) => !isOnlyNote(entry))
    .map(({ path, reason }) => `${reason.replace(/:.*/s, '')} ${path}`);
  return lines.length === 0
    ? new Map()
    : new Map([[STATE.leftOut, Buffer.from(`${lines.toSorted().join('\n')}\n`)]]);
}

/** What a sparse checkout leaves out need not be at hand: a restore leaves it out too. */
function withoutPaths(list: readonly Difference[], paths: readonly Buffer[]): Difference[] {
  const out = new Set(paths.map((path) => path.toString('latin1')));
  return list.filter(({ path }) => !out.has(path.toString('latin1')));
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
