import { link, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../errors.ts';
import type { Capture, CaptureOptions, CaptureStage } from './capture-types.ts';
import { DEFAULT_CAPS, DEFAULT_DEADLINE_MS, DEFAULT_MIN_FREE_BYTES } from './capture-types.ts';
import type { RepositoryConfig } from './config.ts';
import { readConfig } from './config.ts';
import type { GitOptions } from './git.ts';
import { splitNul } from './git.ts';
import { refSegment, requireOid } from './names.ts';
import type { PrivateDir } from './private-dir.ts';
import {
  ensureFile,
  preparePrivateDir,
  privateGit,
  scratchName,
  setPrivateHead,
} from './private-dir.ts';
import type { Repository } from './repository.ts';
import { locateRepository } from './repository.ts';
import { record } from './record.ts';
import { primeTrees, seedIndex } from './seed.ts';
import type { Look } from './snapshot.ts';
import { lookAround, snapshot } from './snapshot.ts';
import { nulTerminated } from './stage.ts';
import type { Notes } from './suspects.ts';
import { changedSuspects, forgetStat, readNotes, writeNotes } from './suspects.ts';
import { readSubmodules } from './submodules.ts';
import type { Session } from './user-state.ts';
import { readUserState } from './user-state.ts';

/**
 * Saves the state of a worktree as a checkpoint commit in the session's private git directory. The source
 * is only read. Ends with an {@link AppError}: `forbidden` (outside the roots, foreign owner), `not_found`,
 * `invalid` (not a worktree), `unavailable` (deadline, disk; transient).
 */
export async function capture(options: CaptureOptions): Promise<Capture> {
  refSegment('Agent name', options.agentName);
  refSegment('Session id', options.sessionId);
  if (options.previous !== null) requireOid('The previous checkpoint', options.previous);
  const deadlineMs = options.deadlineMs ?? DEFAULT_DEADLINE_MS;
  const limits = [AbortSignal.timeout(deadlineMs), ...(options.signal ? [options.signal] : [])];
  const signal = AbortSignal.any(limits);
  const repository = await locateRepository(options.worktree, options.policy);
  const config = await readConfig(repository, signal);
  const dir = await preparePrivateDir({
    path: options.privateDir,
    repository,
    objectFormat: config.objectFormat,
    staleMs: options.staleMs ?? deadlineMs * 2,
    now: new Date(),
    minFreeBytes: options.minFreeBytes ?? DEFAULT_MIN_FREE_BYTES,
  });
  await reached(options, 'prepared');
  const first = await attempt(options, repository, config, dir, signal);
  if (first !== null) return first;
  // The private index was damaged or knew of objects that are gone: begin again, believing nothing.
  await rm(dir.index, { force: true });
  const second = await attempt(options, repository, { ...config, filters: true }, dir, signal);
  if (second !== null) return second;
  throw new AppError('internal', 'Objects of the checkpoint went missing while it was made.', {
    transient: true,
  });
}

async function reached(options: CaptureOptions, stage: CaptureStage): Promise<void> {
  await options.onStage?.(stage);
}

/** One try on working copies of the indexes. Null asks for another, with a fresh private index. */
async function attempt(
  options: CaptureOptions,
  repository: Repository,
  config: RepositoryConfig,
  dir: PrivateDir,
  signal: AbortSignal,
): Promise<Capture | null> {
  const index = scratchName(dir, 'index');
  const staged = scratchName(dir, 'staged');
  const noted = await readNotes(dir);
  const session = { options, repository, config, dir, staged, signal };
  const git = privateGit(dir, repository, index, signal);
  try {
    return await captureWith(session, index, noted, git);
  } catch (error) {
    const damaged = noted !== null && error instanceof AppError && error.code === 'internal';
    if (damaged && !signal.aborted) return null;
    throw error;
  } finally {
    for (const file of [index, `${index}.lock`, staged, `${staged}.lock`]) {
      await rm(file, { force: true });
    }
  }
}

async function captureWith(
  session: Session,
  index: string,
  noted: Notes | null,
  git: GitOptions,
): Promise<Capture | null> {
  const { options, repository, dir } = session;
  if (!noted) await primeTrees(dir, repository, git);
  const [user, early] = noted
    ? await Promise.all([readUserState(session), lookLater(session, index, noted, git)])
    : [await readUserState(session), null];
  await reached(options, 'copied');
  const look = early ?? (await lookFirst(session, index, user.head.oid, git));
  await reached(options, 'scanned');
  const { policy } = options;
  const submodules = await readSubmodules(repository, dir, user.staged, policy, session.signal);
  const caps = { ...DEFAULT_CAPS, ...options.caps };
  const taken = await snapshot(
    { repository, dir, look, submodules, caps, knownTree: noted?.taken.tree ?? null },
    git,
    () => reached(options, 'hashed'),
  );
  await reached(options, 'indexed');
  const result = await record(session, user, taken, noted?.taken ?? null, git);
  if (result === null) return null;
  await reached(options, 'committed');
  await keep(dir, index, result, look);
  await reached(options, 'kept');
  return result;
}

/** A later capture works on a hard link of the private index: it costs nothing, and git replaces files. */
async function lookLater(
  session: Session,
  index: string,
  noted: Notes,
  git: GitOptions,
): Promise<Look> {
  await link(session.dir.index, index);
  const { mtimeNs } = await stat(index, { bigint: true });
  if (mtimeNs !== noted.writtenNs) {
    throw new AppError('internal', 'Another capture replaced the private index.', {
      transient: true,
    });
  }
  await forgetStat(await changedSuspects(session.repository.worktree, noted), git);
  return lookAround(session.repository, await ignoredBefore(session.dir), git);
}

/** The first capture starts from the user's index, and learns what is ignored before it runs find(1). */
async function lookFirst(
  session: Session,
  index: string,
  head: string | null,
  git: GitOptions,
): Promise<Look> {
  const { options, repository, dir, config, signal, staged } = session;
  const copyGit = privateGit(dir, repository, staged, signal);
  await seedIndex(index, repository, dir, config, copyGit);
  await setPrivateHead(dir, head);
  await reached(options, 'seeded');
  return lookAround(repository, [], git);
}

const ignoredFile = (dir: PrivateDir): string => join(dir.path, 'ignored-folders');

async function ignoredBefore(dir: PrivateDir): Promise<Buffer[]> {
  return splitNul(await readFile(ignoredFile(dir)).catch(() => Buffer.alloc(0)));
}

/** Makes what was learnt the start of the next capture. */
async function keep(dir: PrivateDir, index: string, result: Capture, look: Look): Promise<void> {
  const { commit, tree, filesChanged } = result;
  const folders = look.scan.ignored.filter((path) => path.at(-1) === 0x2f);
  await ensureFile(ignoredFile(dir), nulTerminated(folders));
  await setPrivateHead(dir, commit);
  const written = await stat(index).catch(() => null);
  const kept = await stat(dir.index).catch(() => null);
  if (!written || written.ino === kept?.ino) return;
  // The notes go first: a kill between the two leaves an index without notes, which is not believed.
  await writeNotes(dir, index, { commit, tree, filesChanged });
  await rename(index, dir.index);
}
