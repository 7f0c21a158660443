import { setPrerequisites } from '../../db/queries/bundles.ts';
import type { BundleUpload, Session } from '../../db/schema.ts';
import { AppError } from '../../errors.ts';
import { readBundleHeader } from '../git/bundle-header.ts';
import type { Checkpoint } from '../git/checkpoint.ts';
import { fetchBase } from '../git/mirror.ts';
import { checkpointRef } from '../git/names.ts';
import { isPathUrl } from '../git/url.ts';
import { verifyBundle } from '../git/verify-bundle.ts';
import { remoteFor } from './access.ts';
import type { CheckpointDeps } from './deps.ts';
import { writeBundle } from './store.ts';

/** A pack of text unpacks to several times its size; more than this is not meant well. */
const UNPACK_FACTOR = 20;

export type Uploaded = {
  checkpoint: Checkpoint;
  /** A repository that holds the bundle's commits, and what they build on. */
  gitDir: string;
  ref: string;
  prerequisites: string[];
};

/**
 * Verifies an uploaded bundle: whole, of this session, holding the announced commit and nothing else,
 * building only on commits that its remote has. Leaves it unpacked in `folder`.
 *
 * @throws AppError `invalid`, `too_large`, `forbidden` or `unavailable` (the remote)
 */
export async function verifyUploaded(
  deps: CheckpointDeps,
  session: Session,
  upload: BundleUpload,
  options: { folder: string; signal: AbortSignal },
): Promise<Uploaded> {
  const { folder, signal } = options;
  const file = await writeBundle(deps, upload.bundleId, options);
  const { prerequisites } = await readBundleHeader(file);
  const base = await baseOf(deps, session, upload, prerequisites, signal);
  const ref = checkpointRef(session.agent_name, session.id);
  const { checkpoint, gitDir } = await verifyBundle({
    file,
    ref,
    commit: upload.commit,
    maxBytes: deps.maxBundleBytes,
    maxUnpackedBytes: deps.maxBundleBytes * UNPACK_FACTOR,
    ...(base !== undefined && { base: { path: base, roots: [deps.places.mirrors] } }),
    scratch: folder,
    keep: true,
    signal,
  });
  await setPrerequisites(deps.db, upload.bundleId, prerequisites);
  return { checkpoint, gitDir, ref, prerequisites };
}

async function baseOf(
  deps: CheckpointDeps,
  session: Session,
  upload: BundleUpload,
  prerequisites: string[],
  signal: AbortSignal,
): Promise<string | undefined> {
  if (prerequisites.length === 0) return undefined;
  if (upload.baseUrl === undefined) {
    throw new AppError(
      'invalid',
      'The bundle builds on commits that it does not hold, and no baseUrl says where they are. Send baseUrl, or a bundle without prerequisites.',
    );
  }
  if (isPathUrl(upload.baseUrl)) {
    throw new AppError(
      'invalid',
      'baseUrl is a path on the host of the service, where other agents have their repositories. Send a bundle without prerequisites, or the https or ssh URL of the remote.',
    );
  }
  return await fetchBase({
    folder: deps.places.mirrors,
    remote: await remoteFor(deps, session, upload.baseUrl),
    commits: prerequisites,
    signal,
  });
}
