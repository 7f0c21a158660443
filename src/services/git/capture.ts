import { link, rename, rm, stat } from 'node:fs/promises';
import { AppError } from '../../errors.ts';
import type { Capture, CaptureOptions, CaptureStage } from './capture-types.ts';
import { DEFAULT_DEADLINE_MS, DEFAULT_MIN_FREE_BYTES } from './capture-types.ts';
import type { RepositoryConfig } from './config.ts';
import { readConfig } from './config.ts';
import type { GitOptions } from './git.ts';
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
import { prove } from './proof.ts';
import { record } from './record.ts';
import type { Round } from './rounds.ts';
import { ignoredFile, knownOf, takeStill } from './rounds.ts';
import { primeTrees } from './seed.ts';
import { nulTerminated } from './stage.ts';
import type { Notes } from './suspects.ts';
import { notesFile, readNotes, writeNotes } from './suspects.ts';
import { stagedFile } from './staged.ts';
import type { Session } from './user-state.ts';

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
  const first = await attempt(options, repository, config, dir, signal, false);
  if (first !== null) return first;
  // A cache was damaged, knew of objects that are gone, or is wrong: begin again, believing nothing.
  await forgetCaches(dir);
  const second = await attempt(
    options,
    repository,
    { ...config, filters: true },
    dir,
    signal,
    true,
  );
  if (second !== null) return second;
  throw new AppError('internal', 'Objects of the checkpoint went missing while it was made.', {
    transient: true,
  });
}

/** What earlier captures learnt; each is made again when it is not there. */
async function forgetCaches(dir: PrivateDir): Promise<void> {
  for (const file of [dir.index, notesFile(dir), stagedFile(dir)]) await rm(file, { force: true });
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
  isLast: boolean,
): Promise<Capture | null> {
  const index = scratchName(dir, 'index');
  const staged = scratchName(dir, 'staged');
  const noted = await readNotes(dir);
  const session = { options, repository, config, dir, staged, signal, isLast };
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
  noted: LinkedNotes | null,
  git: GitOptions,
): Promise<Capture | null> {
  const { options, repository, dir } = session;
  if (noted) await linkIndex(dir, index, noted);
  else await primeTrees(dir, repository, git);
  const before = noted && { ...noted, tree: noted.taken.tree };
  const round = await takeStill(session, index, before, git);
  const result = await record(session, round.user, round.taken, noted?.taken ?? null, git);
  if (result === null) return null;
  await reached(options, 'committed');
  const proven = await prove({ session, round, result }, git);
  if (proven === null) return null;
  await keep(dir, index, proven, round, noted);
  await reached(options, 'kept');
  return proven;
}

type LinkedNotes = NonNullable<Awaited<ReturnType<typeof readNotes>>>;

/** A later capture works on a hard link of the private index: it costs nothing, and git replaces files. */
async function linkIndex(dir: PrivateDir, index: string, noted: LinkedNotes): Promise<void> {
  await link(dir.index, index);
  const { mtimeNs } = await stat(index, { bigint: true });
  if (mtimeNs !== noted.writtenNs) {
    throw new AppError('internal', 'Another capture replaced the private index.', {
      transient: true,
    });
  }
}

/** Makes what was learnt the start of the next capture. */
async function keep(
  dir: PrivateDir,
  index: string,
  result: Capture,
  round: Round,
  noted: Notes | null,
): Promise<void> {
  const { commit, tree, filesChanged } = result;
  const folders = round.look.scan.ignored.filter((path) => path.at(-1) === 0x2f);
  await ensureFile(ignoredFile(dir), nulTerminated(folders));
  await setPrivateHead(dir, commit);
  const written = await stat(index).catch(() => null);
  if (!written) return;
  const kept = await stat(dir.index).catch(() => null);
  const same = noted !== null && written.ino === kept?.ino;
  const { userKey, missing } = round;
  if (same && userKey === noted.userKey && missing.length === noted.missing.length) return;
  const taken = { commit, tree, filesChanged };
  // The notes go first: a kill between the two leaves an index without notes, which is not believed.
  if (same) await writeNotes(dir, index, { ...noted, userKey, missing });
  else {
    await writeNotes(dir, index, { ...(await knownOf(round, index, dir)), taken });
    await rename(index, dir.index);
  }
}
