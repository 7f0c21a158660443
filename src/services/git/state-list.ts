/*
 * What git keeps in a git directory, and what a checkpoint does with each of it: one list, held against git by a
 * test. Sources: gitrepository-layout(5); "pseudoref" in gitglossary(7); REFS in git-worktree(1); git-bisect(1),
 * git-rebase(1), git-am(1), git-cherry-pick(1), git-notes(1), git-rerere(1). What is not on it is named as not
 * saved, so nothing is lost in silence.
 */

export type Decision =
  /** Saved byte for byte, and put back at the same place. */
  | 'file'
  /** Saved in a form of its own: trees, the list of refs, patterns, settings. */
  | 'apart'
  /** Not saved; each checkpoint says so where it exists. */
  | 'named'
  /** Not saved and not named: git makes it anew, or it means nothing elsewhere. */
  | 'left';

type Entry = { path: RegExp; decision: Decision; why: string };

const entry = (decision: Decision, path: RegExp, why: string): Entry => ({ decision, path, why });

/** By path relative to the git directory, the first match counts. A folder stands for what is in it. */
export const STATE_LIST: readonly Entry[] = [
  entry(
    'left',
    /\.(?:lock|pid|ipc)$|^gc\.log$|(?:^|\/)tmp_/,
    'of a process that runs, or was killed',
  ),
  entry('apart', /^HEAD$/, 'where HEAD stands, with the bytes of its name'),
  entry(
    'apart',
    /^index$|^sharedindex\./,
    'the tree of what is staged, stages of conflicts, flags',
  ),
  entry(
    'file',
    /^[A-Z][A-Z_]*$/,
    'pseudo-refs, messages and bisect state: all have names in capitals',
  ),
  entry(
    'file',
    /^(?:rebase-merge|rebase-apply|sequencer)(?:\/|$)/,
    'a rebase, am, cherry-pick or revert',
  ),
  entry('file', /^NOTES_MERGE_WORKTREE(?:\/|$)/, 'a merge of notes'),
  entry('file', /^rr-cache(?:\/|$)/, 'resolutions that git rerere recorded'),
  entry('file', /^info\/(?:exclude|attributes)$/, 'what is ignored and converted here'),
  entry('apart', /^info\/sparse-checkout$/, 'the sparse patterns'),
  entry('left', /^info\/(?:refs|commit-graphs)$/, 'made anew by git update-server-info'),
  entry('left', /^info$/, 'the folder; what is in it is decided one by one'),
  entry(
    'apart',
    /^(?:refs(?:\/|$)|packed-refs$|reftable(?:\/|$))/,
    'all refs but checkpoint branches',
  ),
  entry('apart', /^logs\/refs\/stash$/, 'all entries of the stash but the newest live there'),
  entry('left', /^logs(?:\/|$)/, 'reflogs tell the history of one clone'),
  entry('apart', /^objects(?:\/|$)/, 'what the checkpoint reaches'),
  entry('apart', /^shallow$/, 'where the history of a shallow clone ends'),
  entry(
    'apart',
    /^config(?:\.worktree)?$/,
    'settings that cannot run a program; others are named on restore',
  ),
  entry('left', /^(?:commondir|gitdir|locked|worktrees(?:\/|$))/, 'ties between linked worktrees'),
  entry('left', /^(?:description|gitk\.cache|ORIG_CONFIG|rebased-patches)$/, 'of no use elsewhere'),
  entry('left', /^hooks\/.*\.sample$/, 'examples that git put there'),
  entry('named', /^hooks(?:\/|$)/, 'a hook is a program'),
  entry(
    'named',
    /^(?:remotes|branches)(?:\/|$)/,
    'old shorthands for URLs, which may run programs',
  ),
  entry('named', /^info\/grafts$/, 'changes what history is; use git replace'),
  entry('left', /^modules(?:\/|$)/, 'of submodules, which are examined where they are checked out'),
  entry('named', /^lfs(?:\/|$)/, 'objects of Git LFS; the files themselves are saved'),
  entry('left', /^fsmonitor--daemon(?:\/|$)/, 'of a process that runs'),
];

export const UNKNOWN: Pick<Entry, 'decision' | 'why'> = {
  decision: 'named',
  why: 'not a part of git that a checkpoint knows',
};

/** What happens to a file or folder of the git directory. */
export function decide(path: string): Pick<Entry, 'decision' | 'why'> {
  return STATE_LIST.find((it) => it.path.test(path)) ?? UNKNOWN;
}

/** Folders of which each entry is decided on its own. */
export const OPEN_FOLDERS = ['hooks', 'info', 'remotes', 'branches'] as const;

/** Files that lie in the common git directory of linked worktrees. */
export const isShared = (path: string): boolean =>
  /^(?:info|rr-cache|hooks|remotes|branches|lfs)(?:\/|$)/.test(path) &&
  path !== 'info/sparse-checkout';

/** Whether a path of a checkpoint's state may be written into a new git directory. */
export function isStatePath(path: string): boolean {
  const plain = /^[A-Za-z0-9_][A-Za-z0-9._-]*(?:\/[A-Za-z0-9_][A-Za-z0-9._-]*){0,3}$/.test(path);
  return plain && !path.includes('..') && decide(path).decision === 'file';
}
