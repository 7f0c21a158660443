import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { type Checkpoint, type Client, unwrap } from '../../client/index.ts';
import { AppError } from '../../errors.ts';
import { readBundleHeader } from '../../services/git/bundle-header.ts';
import { restore } from '../../services/git/restore/restore.ts';
import type { Restored } from '../../services/git/restore/types.ts';
import { CliError } from '../frame/errors.ts';
import { OWN_MACHINE } from '../run/worktree.ts';
import { findBase } from './base.ts';

/** Runs `use` with a folder that is gone afterwards. */
export async function withTemporary<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'defib-restore-'));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Restores a checkpoint from its stored bundle into a new worktree, compared with its fingerprint.
 *
 * @param options.base a clone that has the commits that the bundle builds on
 * @throws CliError
 */
export async function restoreInto(
  client: Client,
  checkpoint: Checkpoint,
  target: string,
  options: { base?: string | undefined },
): Promise<Restored> {
  const { commit, baseUrl } = checkpoint;
  if (commit === null) {
    throw new CliError('not_found', `Checkpoint ${checkpoint.number} holds no files.`);
  }
  return await withTemporary(async (scratch) => {
    const bundle = join(scratch, 'checkpoint.bundle');
    await download(client, checkpoint.id, bundle);
    const { prerequisites } = await readBundleHeader(bundle);
    const base = await findBase({ prerequisites, baseUrl, scratch, given: options.base });
    await mkdir(dirname(target), { recursive: true });
    return await restore({
      target,
      commit,
      from: { bundle, ...(base !== undefined && { base }) },
      policy: OWN_MACHINE,
    });
  }).catch((error: unknown) => {
    if (error instanceof AppError) throw new CliError(error.code, error.message);
    throw error;
  });
}

async function download(client: Client, id: string, file: string): Promise<void> {
  const body = await unwrap(
    client.GET('/api/checkpoints/{id}/bundle', { params: { path: { id } }, parseAs: 'stream' }),
  );
  if (!body) throw new CliError('not_found', 'The service sent no bundle.');
  await pipeline(Readable.fromWeb(body as ReadableStream), createWriteStream(file));
}
