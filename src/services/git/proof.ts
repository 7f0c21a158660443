import { lstat } from 'node:fs/promises';
import { AppError } from '../../errors.ts';
import type { Capture } from './capture-types.ts';
import type { RepositoryConfig } from './config.ts';
import { differences, EMPTY_TREE, GITLINK_MODE } from './differences.ts';
import type { GitOptions } from './git.ts';
import { gitText } from './git.ts';
import { displayPath } from './names.ts';
import { record } from './record.ts';
import { rehearse } from './restore/rehearse.ts';
import type { Round } from './rounds.ts';
import type { Session, UserState } from './user-state.ts';
import { absolute, isOnlyNote } from './vet.ts';

/*
 * What is called saved can be restored. Trying that takes time, so it is done where experience says that something can go wrong, and now and then elsewhere.
 */

const DEFAULT_RATE = 0.02;

export type Proof = {
  session: Session;
  round: Round;
  result: Capture;
};

/**
 * The capture, if its checkpoint can be restored; null asks for another try, which believes no cache. On the
 * last try the checkpoint is made again without what cannot be restored, and says so.
 *
 * @throws AppError `internal`: not even the files could be saved so that they can be restored
 */
export async function prove(proof: Proof, options: GitOptions): Promise<Capture | null> {
  const why = await whyNotRestorable(proof, options);
  if (why === null) return proof.result;
  if (!proof.session.isLast) return null;
  const user = await filesAlone(proof, why, options);
  const session = { ...proof.session, config: withoutSparse(proof.session.config) };
  const left = { path: '.git/index', reason: 'not_restorable: only the files are saved' };
  const { round } = proof;
  const taken = { ...round.taken, notCaptured: [...round.taken.notCaptured, left] };
  const result = await record(session, user, taken, null, options);
  const still = result && (await rehearseResult({ ...proof, round: { ...round, user }, result }));
  if (result && still === null) return result;
  throw new AppError(
    'internal',
    `The checkpoint could not be restored, so it is not called saved: ${still ?? why}.`,
  );
}

async function whyNotRestorable(proof: Proof, options: GitOptions): Promise<string | null> {
  if (!proof.result.changed) return null;
  const dropped = await droppedPath(proof, options);
  if (dropped !== null) return `${dropped} is tracked and there, and was left out`;
  const rate = proof.session.options.rehearsalRate ?? DEFAULT_RATE;
  return isUnusual(proof) || Math.random() < rate ? rehearseResult(proof) : null;
}

function rehearseResult({ session, round, result }: Proof): Promise<string | null> {
  const { user, taken } = round;
  const { repository, dir, signal } = session;
  const { commit } = result;
  return rehearse({ commit, tree: taken.tree, staged: user.staged, repository, dir, signal });
}

/** The state of a worktree of which only the files and HEAD are saved. */
async function filesAlone(proof: Proof, why: string, options: GitOptions): Promise<UserState> {
  const { session } = proof;
  const { user } = proof.round;
  const tree =
    user.head.oid === null
      ? EMPTY_TREE[session.dir.objectFormat]
      : await gitText(['rev-parse', `${user.head.oid}^{tree}`], options);
  const staged = {
    ...user.staged,
    tree,
    unmerged: '',
    undo: '',
    blobs: [],
    flags: '',
    skipped: [],
  };
  const warning = `Only the files are saved: what is staged, flags of the index and an operation under way could not have been restored (${why}).`;
  const operation = { ...user.operation, kind: null, files: new Map(), needed: [], remembered: [] };
  return { ...user, staged, operation, warnings: [...user.warnings, warning] };
}

function withoutSparse(config: RepositoryConfig): RepositoryConfig {
  const values = new Map(config.values);
  values.delete('core.sparsecheckout');
  return { ...config, values };
}

/** Whether anything was met that a plain worktree does not have. */
function isUnusual({ session, round }: Proof): boolean {
  const { user, look, taken } = round;
  const { staged, operation, warnings } = user;
  const { values } = session.config;
  return (
    operation.kind !== null ||
    staged.flags !== '' ||
    staged.unmerged !== '' ||
    staged.gitlinks.length > 0 ||
    warnings.length + taken.warnings.length > 0 ||
    values.has('extensions.partialclone') ||
    values.get('core.filemode') === 'false' ||
    [...values.keys()].some((key) => UNUSUAL_SETTING.test(key)) ||
    !taken.notCaptured.every(isOnlyNote) ||
    [...look.scan.changed, ...look.scan.gone].some(isOdd)
  );
}

const UNUSUAL_SETTING = /^(?:core\.(?:sparsecheckout|splitindex)|remote\..*\.promisor$)/;

const isOdd = (path: Buffer): boolean => path.length > 1024 || displayPath(path).startsWith('"');

/** A path of the user's index that the checkpoint lacks although it is there; listed ones are known to be missing. */
async function droppedPath({ session, round }: Proof, options: GitOptions) {
  const { taken, user } = round;
  if (user.staged.tree === taken.tree) return null;
  const listed = new Set(taken.notCaptured.map(({ path }) => path.replace(/\/$/, '')));
  const { objectFormat } = session.dir;
  const found = await differences(user.staged.tree, taken.tree, objectFormat, options);
  for (const { path, status, oldMode } of found) {
    if (status !== 'D' || oldMode === GITLINK_MODE || isListed(displayPath(path), listed)) continue;
    if (await isThere(session.repository.worktree, path)) return displayPath(path);
  }
  return null;
}

/** Whether a file or link lies at the path, and no link leads there. */
async function isThere(worktree: string, path: Buffer): Promise<boolean> {
  for (let at = path.indexOf(0x2f); at >= 0; at = path.indexOf(0x2f, at + 1)) {
    const parent = await lstat(absolute(worktree, path.subarray(0, at))).catch(() => null);
    if (!parent?.isDirectory()) return false;
  }
  const info = await lstat(absolute(worktree, path)).catch(() => null);
  return info !== null && (info.isFile() || info.isSymbolicLink());
}

function isListed(path: string, listed: ReadonlySet<string>): boolean {
  const parts = path.split('/');
  return parts.some((_, n) => listed.has(parts.slice(0, n + 1).join('/')));
}
