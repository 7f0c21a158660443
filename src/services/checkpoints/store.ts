import { createReadStream, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  attachBundle,
  insertBundle,
  readBundle,
  type StoredBundle,
} from '../../db/queries/bundles.ts';
import type { CheckpointRow } from '../../db/queries/checkpoints.ts';
import type { Session } from '../../db/schema.ts';
import { createBundle, remoteHaves } from '../git/bundle.ts';
import type { Capture } from '../git/capture-types.ts';
import { fetchBase } from '../git/mirror.ts';
import { newId } from '../ids.ts';
import { remoteFor } from './access.ts';
import { baseRemoteOf, type WorktreeCapture } from './capture.ts';
import type { CheckpointDeps } from './deps.ts';
import { assertRoom } from './quota.ts';
import { withFolder } from './scratch.ts';

/** Runs `use` with a folder that is gone afterwards. */
export async function withScratch<T>(
  deps: CheckpointDeps,
  use: (folder: string) => Promise<T>,
): Promise<T> {
  return await withFolder(deps.places.scratch, use);
}

/** What there is to be stored: a commit in a private git directory. */
export type Stored = Pick<WorktreeCapture, 'privateDir' | 'ref' | 'holdsEarlier'> & {
  capture: Pick<Capture, 'commit' | 'base'>;
};

/**
 * Stores a checkpoint beyond its machine: a bundle of everything that the worktree's remote lacks,
 * in the database. Without a remote that can be reached, the bundle holds all history.
 *
 * @throws AppError `too_large` when it passes the cap, or the agent has no room left
 */
export async function storeBundle(
  deps: CheckpointDeps,
  session: Session,
  taken: Stored,
  checkpoint: CheckpointRow,
  signal: AbortSignal,
): Promise<void> {
  await assertRoom(deps.db, session, deps.quota);
  const remote = await baseRemoteOf(deps, taken.capture);
  const haves = remote
    ? await remoteHaves(session.worktree ?? '', remote.name, deps.policy, signal)
    : [];
  await withScratch(deps, async (folder) => {
    const bundle = await createBundle({
      privateDir: taken.privateDir,
      ref: taken.ref,
      commit: taken.capture.commit,
      file: join(folder, 'checkpoint.bundle'),
      haves,
      maxBytes: deps.maxBundleBytes,
      signal,
    });
    if (!bundle) return;
    const id = newId();
    await insertBundle(deps.db, {
      id,
      sessionId: session.id,
      prerequisites: bundle.prerequisites,
      chunks: createReadStream(bundle.file),
    });
    const { holdsEarlier } = taken;
    await attachBundle(deps.db, { checkpointId: checkpoint.id, bundleId: id, holdsEarlier });
  });
}

/** Writes a stored bundle to a file in the folder. Returns its path. */
export async function writeBundle(
  deps: CheckpointDeps,
  id: string,
  { folder, signal }: { folder: string; signal: AbortSignal },
): Promise<string> {
  const file = join(folder, 'stored.bundle');
  await pipeline(Readable.from(readBundle(deps.db, id)), createWriteStream(file), { signal });
  return file;
}

/** Writes a stored bundle to a file, and finds what it builds on. */
export async function loadBundle(
  deps: CheckpointDeps,
  stored: StoredBundle,
  options: { session: Session; folder: string; baseUrl: string | null; signal: AbortSignal },
): Promise<{ bundle: string; base?: string }> {
  const bundle = await writeBundle(deps, stored.id, options);
  if (stored.prerequisites.length === 0 || options.baseUrl === null) return { bundle };
  const base = await fetchBase({
    folder: deps.places.mirrors,
    remote: await remoteFor(deps, options.session, options.baseUrl),
    commits: stored.prerequisites,
    signal: options.signal,
  });
  return { bundle, base };
}
